from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rosella.training import objective


def test_dropped_text_is_zeroed_and_the_share_is_right():
    ids = np.full((2000, 5), 7, np.int32)
    result, dropped = objective.drop_text(ids, jax.random.key(0), 0.2)
    np.testing.assert_array_equal(np.asarray(result), np.where(np.asarray(dropped)[:, None], 0, ids))
    assert 0.17 < dropped.mean() < 0.23
    assert not objective.drop_text(ids, jax.random.key(0), 0.0)[1].any()


def test_hidden_steps_are_padding_in_every_codebook_and_the_beginning_stays():
    tokens = jnp.ones((4, 200, 3), jnp.int32)
    hidden = np.asarray(objective.drop_frames(tokens, jax.random.key(0), 0.5, 7))
    assert (hidden[:, 0] == 1).all()
    assert ((hidden == 7).all(-1) | (hidden == 1).all(-1)).all()
    assert 0.4 < (hidden[:, 1:, 0] == 7).mean() < 0.6
    np.testing.assert_array_equal(objective.drop_frames(tokens, jax.random.key(0), 0.0, 7), tokens)
