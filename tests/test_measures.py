from __future__ import annotations

import pytest

from rosella.asr.scores import score
from rosella.measures import RECOGNITION, SPEECH, by_name, measure_of


def test_a_number_that_could_not_be_measured_is_a_dash() -> None:
    assert SPEECH[-2].shown(None) == "–"
    assert SPEECH[-2].shown(float("nan")) == "–"


def test_a_gain_is_towards_the_ideal_from_either_side() -> None:
    length = next(measure for measure in SPEECH if measure.key == "length_ratio")
    assert length.difference(length.nearer(1.5, 0.75)) == "+0.25"
    assert SPEECH[0].difference(SPEECH[0].nearer(0.5, 0.25)) == "-25 points"


def test_what_a_recogniser_is_measured_by_is_measured() -> None:
    assert {measure.key for measure in RECOGNITION} <= score([]).summary().keys()


def test_a_line_of_a_run_is_single_numbers_by_name() -> None:
    line = {"split": "train", "step": 3, "loss": 1.5, "codebook_losses": [1.0, None], "mfu": None}
    assert by_name(line) == {"train/loss": 1.5, "train/codebook_losses/1": 1.0}
    time = {"split": "time", "step": 3, "seconds": 9.0, "lost": {"save": 2.5}}
    assert by_name(time) == {"time/seconds": 9.0, "time/lost/save": 2.5}


def test_every_name_leads_back_to_its_measure() -> None:
    assert measure_of("validation/loss").name == "Loss"
    assert measure_of("train/codebook_losses/2").unit == "nats"
    assert measure_of("listening/wer").ideal == 0.0
    with pytest.raises(KeyError):
        measure_of("validation/wer")


def test_better_is_more_or_less_or_neither() -> None:
    assert measure_of("train/frames_per_second").nearer(100.0, 120.0) == 20.0
    assert measure_of("train/loss").nearer(2.0, 1.5) == 0.5
    assert measure_of("train/lr").nearer(1.0, 2.0) == 0.0


def test_small_and_large_numbers_are_shown_as_such() -> None:
    assert measure_of("train/lr").shown(1e-4) == "1.0e-04"
    assert measure_of("train/frames_per_second").shown(12345.6) == "12,346 frames/s"
    assert measure_of("train/loss").shown(2.346) == "2.35 nats"


def test_an_interval_has_its_unit_once() -> None:
    assert measure_of("listening/wer").between((0.43, 1.12)) == "43 to 112\N{NO-BREAK SPACE}%"
    assert measure_of("listening/pitch_semitones").between((1.514, 10.11)) == "1.51 to 10.11 semitones"
    assert measure_of("listening/length_ratio").between((0.7, 1.5)) == "0.70 to 1.50"
    assert measure_of("listening/wer").between(None) == ""
