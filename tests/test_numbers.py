from __future__ import annotations

import math

from rosella.numbers import DASH, counted, duration, percent


def test_a_share_is_shown_in_percent_and_what_was_not_measured_as_a_dash():
    assert [percent(0.125), percent(0.125, 1), percent(1.5, space=" ")] == ["12%", "12.5%", "150 %"]
    assert percent(None) == percent(math.nan) == DASH


def test_what_is_counted_has_its_plural():
    assert [counted(1, "voice"), counted(0, "voice"), counted(1200, "voice")] == [
        "1 voice", "0 voices", "1,200 voices"
    ]  # fmt: skip


def test_long_durations_are_in_hours():
    assert [duration(150), duration(3600 * 1200)] == ["2.5 min", "1,200.0 h"]
