from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.errors import UserError
from rosella.inference.generate import generate
from rosella.inference.precision import ready
from tiny_dia import batch, model


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_what_is_ready_speaks_without_the_weights_that_it_left_behind(precision):
    dia, (ids, lengths, _) = model(), batch()
    lean, weights = ready(dia, precision)
    assert lean.dtype == (jnp.bfloat16 if precision == "bfloat16" else jnp.float32)
    assert lean.decoder.logits[...].size == 0 and dia.decoder.logits[...].size
    made = generate(lean, ids, lengths, max_frames=6, weights=weights)
    if precision == "float32":
        np.testing.assert_array_equal(made.codes, generate(dia, ids, lengths, max_frames=6).codes)
    else:
        assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {
            jnp.dtype(precision),
            jnp.dtype("float32"),
        }


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(UserError, match="'int4' is unknown: choose float32, bfloat16, int8"):
        ready(model(), "int4")  # type: ignore[arg-type]
