from __future__ import annotations

import pytest

from rosella.training.goodput import Goodput


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_is_lost_to_its_innermost_cause_and_the_rest_is_productive():
    clock = Clock()
    goodput = Goodput(clock)
    with goodput.spent("start"):
        clock.now += 4
        with goodput.spent("restore"):
            clock.now += 3
            with goodput.spent("compile"):
                clock.now += 1
        with goodput.spent("evaluation"):
            clock.now += 2
    clock.now += 10
    goodput.began()
    clock.now += 5
    goodput.began()
    assert goodput.record() == {
        "seconds": 25.0,
        "productive": 15.0,
        "lost": {"start": 4.0, "compile": 1.0, "restore": 3.0, "evaluation": 2.0},
        "first_step": 20.0,
    }


def test_what_fails_is_counted_and_an_unknown_cause_is_none():
    clock = Clock()
    goodput = Goodput(clock)

    def fail() -> None:
        clock.now += 2
        raise ValueError

    with pytest.raises(ValueError), goodput.spent("save"):
        fail()
    assert goodput.record()["lost"] == {"save": 2.0}
    with pytest.raises(AssertionError), goodput.spent("coffee"):
        pass
