from __future__ import annotations

import pytest

from rosella.corpus.diarization.score import error_rate


def test_the_error_rate_counts_what_is_missed_invented_and_confused():
    truth = [(0.0, 4.0, "x"), (4.0, 8.0, "y"), (6.0, 8.0, "x")]
    found = [(0.0, 5.0, "A"), (5.0, 9.0, "B")]
    rate = error_rate(truth, found, collar=0.0)
    assert rate == pytest.approx((0.2, 0.1, 0.1), abs=1e-3)
    assert error_rate(truth, truth) == (0, 0, 0)
    assert error_rate([(0, 1, "x")], []).total == 1


def test_the_collar_forgives_a_quarter_of_a_second():
    truth, found = [(1.0, 3.0, "x"), (3.0, 5.0, "y")], [(0.8, 3.2, "A"), (3.2, 4.8, "B")]
    assert error_rate(truth, found).total == 0
    assert error_rate(truth, found, collar=0.0).total > 0.1
