from __future__ import annotations

import numpy as np
import pytest

from rosella.evaluate.summary import ClipScore, gains, intervals, statistics


def clip(number: int = 0, **changes) -> ClipScore:
    values = {"rank": 1, "candidates": 4, "stopped": True, "seconds": 2.0, "reference_seconds": 2.0}
    values |= {"pitch_semitones": None, "spectrum_db": 3.0, **changes}
    return ClipScore(id=str(number), speaker="a", language="nl", text="x", **values)


def test_word_errors_are_given_three_ways():
    """One clip that loops makes ten times the errors of all the others."""
    clips = [clip(word_edits=1, words=10), clip(word_edits=0, words=10), clip(word_edits=90, words=10)]
    found = statistics(clips)
    assert found["wer"] == pytest.approx(91 / 30)
    assert found["wer_kept"] == pytest.approx(1 / 20)
    assert found["lost"] == pytest.approx(1 / 3)
    assert statistics([clip(word_edits=5, words=10)])["lost"] == 0, "half of the words is not more than half"


def test_what_was_not_measured_is_nan_and_has_no_interval():
    clips = [clip(), clip(similarity=0.8), clip(similarity=0.6)]
    found = statistics(clips)
    assert np.isnan(found["wer"]) and np.isnan(found["turns_right"]) and np.isnan(found["pitch_semitones"])
    assert found["similarity"] == pytest.approx(0.7)
    assert intervals(clips).keys() == {
        "retrieval",
        "stopped",
        "similarity",
        "length_ratio",
        "length_spread",
        "spectrum_db",
    }


def test_lengths_are_medians_and_their_spread_is_from_one():
    clips = [clip(seconds=1.0), clip(seconds=2.0), clip(seconds=3.0)]
    assert statistics(clips)["length_ratio"] == 1.0
    assert statistics(clips)["length_spread"] == 0.5


def test_an_interval_is_as_wide_as_the_sentences_differ():
    rank = lambda found: 1 if found else 2  # noqa: E731
    mixed = [clip(n, rank=rank(n % 2)) for n in range(40)]
    low, high = intervals(mixed)["retrieval"]
    assert low == pytest.approx(0.5 - 0.155, abs=0.04) and high == pytest.approx(0.5 + 0.155, abs=0.04)
    assert intervals([clip(n) for n in range(40)])["retrieval"] == (1.0, 1.0)


def test_seeds_of_one_sentence_are_no_new_sentences():
    """Ten sentences said thirty times tell less than three hundred sentences."""
    rank = lambda found: 1 if found else 2  # noqa: E731
    same = [clip(n, rank=rank(n % 2)) for _ in range(30) for n in range(10)]
    low, high = intervals(same, seeds=30)["retrieval"]
    independent = intervals(same)["retrieval"]
    assert high - low > 3 * (independent[1] - independent[0])


def test_seeds_that_differ_widen_the_interval():
    clips = [clip(n, rank=seed + 1) for seed in range(2) for n in range(4)]
    low, high = intervals(clips, seeds=2)["retrieval"]
    assert low < 0.5 < high


def test_a_gain_compares_the_same_sentences():
    """Hard sentences stay hard: that they differ says nothing against a gain on all of them."""
    before = [clip(n, seconds=2.0 + n / 10, reference_seconds=1.0) for n in range(40)]
    after = [clip(n, seconds=1.9 + n / 10, reference_seconds=1.0) for n in range(40)]
    assert gains(before, before)["length_ratio"] == (0.0, 0.0)
    low, high = gains(before, after)["length_ratio"]
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)
    assert gains(before, after * 3, (1, 3))["length_ratio"] == pytest.approx((0.1, 0.1))


def test_a_gain_is_towards_the_ideal():
    worse = [clip(n, word_edits=1, words=2) for n in range(10)]
    better = [clip(n, word_edits=0, words=2) for n in range(10)]
    assert gains(worse, better)["wer"] == (0.5, 0.5) and gains(better, worse)["wer"] == (-0.5, -0.5)
