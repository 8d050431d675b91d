from __future__ import annotations

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from rosella.model.masking import HIDDEN, Mask, blocks


def seen(mask: Mask, steps: int, keys: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(mask.additive(steps, keys)) > HIDDEN / 2, (2, 1, steps, keys))[:, 0]


def test_a_query_sees_no_later_key_no_padding_and_no_neighbour():
    every = np.arange(5)
    np.testing.assert_array_equal(seen(Mask(), 5, 5), np.ones((2, 5, 5)))
    np.testing.assert_array_equal(seen(Mask(causal=True), 5, 5)[1], np.tril(np.ones((5, 5))))
    np.testing.assert_array_equal(seen(Mask(lengths=jnp.array([2, 5])), 3, 5)[:, 0], [every < 2, every < 5])
    queries, keys = jnp.array([[0, 1, 1], [0, 0, 1]]), jnp.array([[0, 0, 1, 2, 2], [0, 1, 1, 1, 2]])
    apart = np.asarray(queries)[:, :, None] == np.asarray(keys)[:, None]
    np.testing.assert_array_equal(seen(Mask(queries=queries, keys=keys), 3, 5), apart)
    both = seen(Mask(causal=True, queries=keys, keys=keys), 5, 5)
    np.testing.assert_array_equal(both, np.tril(np.asarray(keys)[:, :, None] == np.asarray(keys)[:, None]))


def test_segments_hide_what_lengths_and_segments_hide():
    for mask in (Mask(), Mask(lengths=jnp.array([2, 5])), Mask(queries=jnp.ones((2, 3)), keys=jnp.eye(2, 5))):
        queries, keys = map(np.asarray, mask.segments(2, 3, 5))
        np.testing.assert_array_equal(queries[:, :, None] == keys[:, None], seen(mask, 3, 5))


def test_biases_add_up():
    mask = Mask(lengths=jnp.array([2, 4])).biased(jnp.full((1, 1, 1, 4), 0.5)).biased(jnp.ones((2, 1, 3, 4)))
    bias = np.asarray(mask.additive(3, 4))
    assert (
        bias.shape == (2, 1, 3, 4) and (bias[0, 0, :, :2] == 1.5).all() and (bias[0, 0, :, 2:] < -1e29).all()
    )


@pytest.mark.parametrize("size", [1, 3])
def test_a_block_sees_what_was_before_it_and_all_of_itself(size):
    """Against the rule word by word; the second utterance of a row begins its blocks anew."""
    clean, noisy = np.array([0, 1, 2, 3, 0, 1, 2]), np.array([0, 1, 2, 3, 4, 5, 0, 1, 2])
    bias = np.asarray(blocks(jnp.asarray(clean)[None], jnp.asarray(noisy)[None], size))
    assert bias.shape == (1, 1, 16, 16)
    steps = [(place, False) for place in clean] + [(place, True) for place in noisy]
    for (q, (at, hidden)), (k, (other, other_hidden)) in product(enumerate(steps), enumerate(steps)):
        if hidden and other_hidden:
            expected = at // size == other // size
        elif hidden:
            expected = other < at // size * size
        else:
            expected = not other_hidden and other <= at
        assert (bias[0, 0, q, k] == 0) == expected, (q, k)
