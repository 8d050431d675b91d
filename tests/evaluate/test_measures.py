from __future__ import annotations

from rosella.asr.scores import score
from rosella.evaluate.measures import RECOGNITION, SPEECH


def test_a_number_that_could_not_be_measured_is_a_dash() -> None:
    assert SPEECH[-2].shown(None) == "–"
    assert SPEECH[-2].shown(float("nan")) == "–"


def test_a_gain_is_towards_the_ideal_from_either_side() -> None:
    length = next(measure for measure in SPEECH if measure.key == "length_ratio")
    assert length.gain(1.5, 0.75) == (0.25, "+0.25")
    assert SPEECH[0].gain(0.5, 0.25) == (-0.25, "-25 points")


def test_what_a_recogniser_is_measured_by_is_measured() -> None:
    assert {measure.key for measure in RECOGNITION} <= score([]).summary().keys()
