from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from rosella.model import packing


def test_every_utterance_of_a_row_is_completed_to_whole_blocks():
    values, lengths = jnp.array([[1, 2, 3, 4, 5, 9], [6, 7, 9, 9, 9, 9]]), jnp.array([[4, 1], [0, 2]])
    laid = np.asarray(packing.in_blocks(values, lengths, 3, 0))
    np.testing.assert_array_equal(laid, [[1, 2, 3, 4, 0, 0, 5, 0, 0, 0], [6, 7, 0, 0, 0, 0, 0, 0, 0, 0]])
    deep = packing.in_blocks(jnp.stack([values, -values], -1), lengths, 3, 0)
    np.testing.assert_array_equal(deep, np.stack([laid, -laid], -1))
    np.testing.assert_array_equal(packing.whole(lengths, 3), [[6, 3], [0, 3]])


def test_blocks_of_one_leave_a_row_as_it_is():
    values, lengths = jnp.arange(5)[None], jnp.array([[3, 2]])
    np.testing.assert_array_equal(packing.in_blocks(values, lengths, 1, -1), values)
