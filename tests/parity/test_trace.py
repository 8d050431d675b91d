from __future__ import annotations

import numpy as np
import pytest

from parity.learnt import CONFIG
from rosella.errors import UserError
from rosella.parity import trace
from rosella.parity.trace import make_inputs

pytestmark = pytest.mark.parity


def test_the_inputs_are_nasty(ours, inputs):
    ids, rows = ours.stages[trace.TEXT_IDS], ours.stages[trace.AUDIO_IDS]
    assert len({len(each) for each in ids}) == len({len(row) for row in rows}) == len(ids) == 4
    assert {1, 2, 3, 4} <= set(np.concatenate(ids))
    assert max(map(max, ids)) >= 0xF0
    assert not ids[trace.DROPPED].any()
    assert len({len(prompt) for prompt in inputs.prompts} - {0}) == 4


def test_more_frames_than_a_model_holds_are_refused():
    with pytest.raises(UserError, match="200 frames .* 1 to 106"):
        make_inputs(CONFIG, 200)
