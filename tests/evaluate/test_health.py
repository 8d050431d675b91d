from __future__ import annotations

import pytest

from rosella.evaluate.health import LISTENING, read, worst
from rosella.measures import SPEECH


def trained(losses, **values):
    same = {"bad_steps": 0, "grad_norm": 1.0, "data_wait": 0.0, **values}
    return [{"split": "train", "step": n, "loss": loss, **same} for n, loss in enumerate(losses, 1)]


def falling(steps=100):
    return trained([5 - n / steps for n in range(steps)])


def validated(*points):
    return [{"split": "validation", "step": step, "loss": loss} for step, loss in points]


def heard(key, *points):
    return [{"split": "listening", "step": step, key: value} for step, value in points]


def of(name, records):
    (reading,) = (reading for reading in read(records) if reading.name == name)
    return reading


def test_a_loss_that_is_not_finite_is_to_stop():
    reading = of("train/loss", trained([3.0, None]))
    assert (reading.level, reading.value, reading.step) == (
        "stop",
        None,
        2,
    ) and "optimizer.lr" in reading.sentence


def test_skipped_steps_steep_gradients_and_waiting_are_to_be_watched():
    records = trained([3.0] * 5)
    records[-1]["bad_steps"] = 2
    assert (
        of("train/loss", records).level == "watch" and "2 of the last" in of("train/loss", records).sentence
    )
    steep = [*trained([3.0] * 80), *trained([3.0] * 20, grad_norm=9.0)]
    assert of("train/grad_norm", steep).level == "watch"
    assert of("train/data_wait", trained([3.0], data_wait=0.3)).level == "watch"
    assert [reading.level for reading in read(trained([3.0] * 100))] == ["healthy"]


def test_a_validation_that_rises_while_training_falls_is_to_be_watched():
    rising = validated((10, 4.0), (50, 3.5), (100, 3.7))
    reading = of("validation/loss", [*falling(), *rising])
    assert reading.level == "watch" and "step 50" in reading.sentence
    flat = trained([4.0] * 100)
    assert of("validation/loss", [*flat, *rising]).level == "healthy"
    assert of("validation/loss", [*falling(), *validated((50, 3.5), (100, 3.51))]).level == "healthy"


def test_speech_that_gets_worse_while_the_loss_falls_is_to_stop_when_it_happens_twice():
    once = heard("retrieval", (25, 0.4), (50, 0.9), (75, 0.6))
    assert of("listening/retrieval", [*falling(), *once]).level == "watch"
    twice = [*once, *heard("retrieval", (100, 0.7))]
    reading = of("listening/retrieval", [*falling(), *twice])
    assert reading.level == "stop" and "step 50" in reading.sentence and "90" in reading.sentence
    assert of("listening/retrieval", [*trained([4.0] * 100), *twice]).level == "watch"
    assert (
        of("listening/retrieval", [*falling(), *twice, *heard("retrieval", (110, 0.85))]).level == "healthy"
    )


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [
        ("wer", 0.9, "watch"),
        ("wer", 0.1, "healthy"),
        ("length_ratio", 0.6, "watch"),
        ("length_ratio", 1.4, "watch"),
        ("length_ratio", 0.9, "healthy"),
        ("stopped", 0.5, "watch"),
    ],
)
def test_a_value_far_from_the_ideal_is_to_be_watched(key, value, level):
    assert of(f"listening/{key}", [*falling(), *heard(key, (50, value))]).level == level


def test_the_gravest_comes_first_and_decides():
    records = [*falling(), *heard("retrieval", (25, 0.9), (50, 0.2), (75, 0.2)), *heard("stopped", (75, 0.5))]
    levels = [reading.level for reading in read(records)]
    assert levels == ["stop", "watch", "healthy"] and worst(read(records)) == "stop"
    assert read([]) == [] and worst([]) == "healthy"


def test_every_bound_is_of_a_measure():
    assert LISTENING.keys() <= {measure.key for measure in SPEECH}
