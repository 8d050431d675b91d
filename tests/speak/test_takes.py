"""Takes are judged by their end, their length and where the model looked, and the better one has the higher score."""

from __future__ import annotations

import numpy as np
import pytest

from rosella.inference.reading import Followed
from rosella.speak.takes import Take, judge, pace_of

TEXT = "[S1] Dit is een zin van dertig bytes."


def judged(
    seconds: float, stopped: bool = True, read: float = 1.0, sure: float = 0.6, most: int | None = None
):
    frames = round(seconds * 50)
    places = np.linspace(0, round(34 * read) - 1, frames).astype(int)
    followed = Followed(places, np.full(frames, sure, np.float32))
    return judge(Take(np.zeros((frames, 2), np.uint16), stopped), TEXT, 15.0, 50.0, lambda: followed, most)


@pytest.mark.parametrize(
    ("take", "faults"),
    [
        (judged(2.4), set()),
        (judged(1.8), set()),
        (judged(0.0), {"silent"}),
        (judged(2.4, stopped=False), {"endless"}),
        (judged(1.2), {"short"}),
        (judged(5.0), {"long"}),
        (judged(2.4, read=0.6), {"cut off"}),
        (judged(2.4, sure=0.2), {"lost"}),
        (judged(0.1, read=0.1, sure=0.2), {"short", "cut off", "lost"}),
        (judged(1.2, stopped=False, read=0.4, most=60), set()),
        (judged(1.2, stopped=False, read=0.4, most=61), {"endless", "short", "cut off"}),
    ],
)
def test_faults_are_told_by_name(take, faults):
    assert take.faults == faults


def test_the_better_take_has_the_higher_score():
    scores = [judged(*take).score for take in ((0.0,), (0.5,), (4.8,), (3.0,), (2.5,))]
    assert scores == sorted(scores)
    assert judged(2.5, sure=0.7).score > judged(2.5, sure=0.5).score > judged(2.5, read=0.7, sure=0.5).score


def test_a_clip_shows_how_fast_its_voice_speaks_within_reason():
    assert pace_of("", 0.0) == 15
    assert pace_of(TEXT, 2.5) == pytest.approx(34 / 2.25)
    assert pace_of(TEXT, 9.0) == 10
    assert pace_of(TEXT, 0.2) == 20
