from __future__ import annotations

import json

import numpy as np
import pytest

from rosella.annotate.effort import Effort


def worked(listening: float, correcting: float, opening: float, clips: int = 60) -> Effort:
    rng, effort = np.random.default_rng(0), Effort()
    for _ in range(clips):
        length, errors = rng.uniform(3, 25), rng.poisson(3)
        seconds = listening * length + correcting * errors + opening
        effort = effort.learn(length, errors, seconds * np.exp(rng.normal(0, 0.2)))
    return effort


def test_before_the_first_clip_it_is_what_transcribers_take():
    assert Effort().seconds(10.0, 0.0) == pytest.approx(12.0)
    assert Effort().seconds(10.0, 5.0) == pytest.approx(40.0)


@pytest.mark.parametrize("person", [(1.0, 2.0, 1.0), (1.2, 9.0, 4.0), (0.8, 5.0, 0.5)])
def test_it_comes_to_know_a_person(person):
    effort = worked(*person)
    listening, correcting, opening = person
    for length, errors in [(5.0, 0), (10.0, 2), (20.0, 6)]:
        really = listening * length + correcting * errors + opening
        assert effort.seconds(length, errors) == pytest.approx(really, rel=0.2, abs=1.5)


def test_a_person_who_becomes_faster_is_known_to_be():
    slow = worked(1.2, 9.0, 4.0)
    fast = slow
    for _ in range(150):
        fast = fast.learn(10.0, 2, 14.0)
    assert slow.seconds(10.0, 2) > 30 > 17 > fast.seconds(10.0, 2)


def test_an_hour_at_lunch_does_not_make_a_slow_worker():
    effort = worked(1.0, 4.0, 1.0)
    after = effort.learn(10.0, 0, 3600.0)
    assert after.seconds(10.0, 0) < 1.4 * effort.seconds(10.0, 0)


def test_nobody_is_expected_to_hear_a_clip_in_less_than_half_its_time():
    assert worked(0.1, 0.0, 0.0).seconds(20.0, 0) == 10.0


def test_it_is_kept_as_json():
    effort = worked(1.0, 4.0, 1.0)
    again = Effort.from_dict(json.loads(json.dumps(effort.to_dict())))
    assert again.clips == 60 and np.array_equal(again.weights, effort.weights)
