from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from rosella.inference import unmasking

SCORES = jnp.log(jnp.array([[[0.9, 0.5], [0.8, 0.6], [0.7, 0.95]]]))
ALL = jnp.ones((1, 3, 2), bool)


def taken(mask) -> list[tuple[int, int]]:
    """Step and codebook of what the one row's mask has."""
    return [(int(t), int(c)) for t, c in np.argwhere(np.asarray(mask)[0])]


def count(*of_rows: int):
    return jnp.array(of_rows)


def test_confidence_is_the_chance_of_what_was_chosen():
    logits = jnp.log(jnp.array([[[[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]]])) + 5  # of one row, step by step
    chosen = jnp.array([[[1, 2]]])
    np.testing.assert_allclose(unmasking.confidence(logits, chosen), np.log([[[0.2, 0.6]]]), rtol=1e-5)


def test_calibrated_confidence_is_what_text_and_context_add_to_the_prior():
    """An id that is likely anyway is less sure than a rare one of the same chance."""
    logits = jnp.log(jnp.array([[[[0.6, 0.4], [0.6, 0.4]]]]))
    prior = jnp.log(jnp.array([[0.9, 0.1], [0.3, 0.7]]))
    chosen = jnp.array([[[0, 0]]])
    expected = np.log([[[0.6 / 0.9, 0.6 / 0.3]]])
    np.testing.assert_allclose(unmasking.confidence(logits, chosen, prior), expected, rtol=1e-5)


@pytest.mark.parametrize(("number", "expected"), [(0, [2, 1]), (1, [2, 1]), (2, [3, 1]), (3, [6, 2])])
def test_what_is_left_becomes_known_in_equal_shares(number, expected):
    """Of six and of two ids, in four passes."""
    hidden = jnp.concatenate([ALL, ALL.at[:, 1:].set(False)])
    assert unmasking.due(hidden, number, 4).tolist() == expected


def test_the_surest_become_known():
    assert taken(unmasking.surest(SCORES, ALL, count(2), "free")) == [(0, 0), (2, 1)]
    hidden = ALL.at[0, 2, 1].set(False)
    assert taken(unmasking.surest(SCORES, hidden, count(3), "free")) == [(0, 0), (1, 0), (2, 0)]


def test_of_equals_the_earlier_and_never_what_is_known():
    hidden = ALL.at[0, 0].set(False)
    assert taken(unmasking.surest(jnp.zeros((1, 3, 2)), hidden, count(1), "free")) == [(1, 0)]
    assert taken(unmasking.surest(SCORES, hidden, count(9), "free")) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_low_first_is_codebook_by_codebook():
    assert taken(unmasking.surest(SCORES, ALL, count(2), "low first")) == [(0, 0), (1, 0)]
    known = ALL.at[0, 1:, 0].set(False)
    assert taken(unmasking.surest(SCORES, known, count(2), "low first")) == [(0, 0), (2, 1)]


def test_each_row_by_its_own_count():
    rows = jnp.concatenate([SCORES, SCORES])
    made = np.asarray(unmasking.surest(rows, jnp.concatenate([ALL, ALL]), count(1, 4), "free"))
    assert made.sum((1, 2)).tolist() == [1, 4]


def test_the_bar_is_a_quantile_of_what_is_hidden():
    scores = jnp.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 99.0]]])
    hidden = ALL.at[0, 2, 1].set(False)
    assert unmasking.bar(scores, hidden, 0.5).tolist() == [3.0]
    assert unmasking.bar(scores, hidden, 0.75).tolist() == [4.0]


def test_what_is_sure_enough_becomes_known_early():
    due, least = ALL & False, jnp.log(jnp.array([0.85]))
    assert taken(unmasking.early(SCORES, ALL, due, least, "free")) == [(0, 0), (2, 1)]
    assert taken(unmasking.early(SCORES, ALL, due.at[0, 1, 1].set(True), least, "free")) == [
        (0, 0),
        (1, 1),
        (2, 1),
    ]


def test_low_first_nothing_is_early_above_what_stays_hidden():
    due, least = ALL & False, jnp.log(jnp.array([0.85]))
    assert taken(unmasking.early(SCORES, ALL, due, least, "low first")) == [(0, 0)]
    for beneath in (ALL.at[0, 2, 0].set(False), ALL):  # known before, or from now on
        now = due.at[0, 2, 0].set(bool(beneath[0, 2, 0]))
        assert (2, 1) in taken(unmasking.early(SCORES, beneath, now, least, "low first"))


def test_temperature_falls_with_depth():
    np.testing.assert_allclose(unmasking.cooled(0.5, 3, 0.8), [[0.5], [0.4], [0.32]], rtol=1e-6)
