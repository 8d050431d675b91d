from __future__ import annotations

import numpy as np
import pytest

from parity.learnt import CONFIG, LEARNT
from rosella.parity import trace
from rosella.parity.rosella_trace import margins
from rosella.parity.trace import Case

pytestmark = pytest.mark.parity


def test_rows_end_at_different_steps(ours):
    """So ends and padding are among the ids compared."""
    eos, pad = CONFIG.decoder.eos_token_id, CONFIG.decoder.pad_token_id
    for case in trace.CASES[:3]:
        ids = ours.greedy[case].ids
        assert tuple((ids[:, :, 0] == eos).argmax(1)) == LEARNT
        assert (ids[:, -1, 0] == pad).all()


def test_margins_are_those_of_the_best_two_and_of_the_top_k():
    conditional = np.array([[[1.0, 4.0, 3.5, 9.0, 0.0], [1.0, 4.0, 3.0, 9.0, 0.0]]])
    plain = margins(conditional, 0 * conditional, Case(1.0, 1, False), eos=3)
    np.testing.assert_allclose(plain, [[5.0, 1.0]])  # the second codebook cannot end
    guided = margins(conditional, conditional, Case(3.0, 3, False), eos=3)
    np.testing.assert_allclose(guided, [[2.5 / 7, 2.0 / 7]], rtol=1e-6)
    assert np.isinf(margins(conditional, conditional, Case(3.0, 5, False), eos=0)).all()
