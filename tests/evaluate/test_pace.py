from __future__ import annotations

import pytest

from rosella.evaluate.pace import measure


def test_pace_of_three_clips() -> None:
    pace = measure([True, True, False], [2.0, 3.0, 8.0], [2.0, 2.0, 2.0], frame_rate=50, work_seconds=4.0)
    assert pace.stopped == pytest.approx(2 / 3)
    assert pace.length_ratio == pytest.approx(1.5)
    assert pace.length_spread == pytest.approx(0.5)
    assert pace.real_time_factor == pytest.approx(13 / 4)
    assert pace.frames_per_second == pytest.approx(50 * 13 / 4)
