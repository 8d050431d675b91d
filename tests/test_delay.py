from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rosella import delay

B, E, P = 18, 16, 17
patterns = st.lists(st.integers(0, 20), min_size=0, max_size=8).map(lambda rest: [0, *rest])
frames = st.integers(0, 30)


def codes_of(count, pattern):
    return np.random.default_rng(count).integers(0, E, (count, len(pattern)))


def test_the_picture_in_the_module():
    codes = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    assert delay.apply(codes, [0, 1, 2], B, E, P).tolist() == [
        [B, B, B],
        [0, B, B],
        [3, 1, B],
        [6, 4, 2],
        [E, 7, 5],
        [P, E, 8],
        [P, P, E],
    ]


def test_a_prefix_marks_what_is_still_to_come():
    codes = np.array([[0, 1], [3, 4]])
    assert delay.apply(codes, [0, 2], B, None, P).tolist() == [[B, B], [0, B], [3, B], [P, 1], [P, 4]]
    assert delay.apply(codes[:0], [0, 2], B, None, P).tolist() == [[B, B], [P, B], [P, B]]


@given(patterns, frames)
def test_undo_reverses_apply(pattern, count):
    codes = codes_of(count, pattern)
    sequence = delay.apply(codes, pattern, B, E, P)
    assert len(sequence) == 1 + count + 1 + max(pattern)
    restored, valid = delay.undo(sequence, pattern, E)
    np.testing.assert_array_equal(restored, codes)
    assert valid.all()


@given(patterns, frames, st.integers(0, 60))
def test_a_cut_sequence_gives_its_whole_frames(pattern, count, length):
    codes = codes_of(count, pattern)
    restored, valid = delay.undo(delay.apply(codes, pattern, B, E, P)[:length], pattern, E)
    whole = min(count, max(length - 1 - max(pattern), 0))
    np.testing.assert_array_equal(restored, codes[:whole])
    assert valid.all()


@given(patterns, frames)
def test_the_loss_counts_each_code_and_one_end_per_codebook(pattern, count):
    targets = delay.apply(codes_of(count, pattern), pattern, B, E, P)[1:]
    counted = delay.learnable(targets, B, P)
    assert (counted.sum(0) == count + 1).all()
    assert (targets[counted] <= E).all()


def test_ids_that_are_no_codes_are_marked():
    sequence = delay.apply(np.array([[1, 2], [3, 4]]), [0, 1], B, E, P)
    sequence[2, 1] = P
    codes, valid = delay.undo(sequence, [0, 1], E)
    assert codes.tolist() == [[1, 0], [3, 4]]
    assert valid.tolist() == [[True, False], [True, True]]
