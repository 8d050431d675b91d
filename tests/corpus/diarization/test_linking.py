from __future__ import annotations

import numpy as np

from corpus.fakes import person
from rosella.corpus.diarization.linking import link


def test_a_person_has_one_voice_in_all_recordings():
    found = link(
        {},
        {
            ("r1", "A"): person(0, 1),
            ("r1", "B"): person(1, 1),
            ("r2", "A"): person(1, 2),
            ("r3", "A"): person(0, 3),
        },
    )
    assert found["r1", "A"] == found["r3", "A"] != found["r1", "B"] == found["r2", "A"]


def test_voices_stay_when_recordings_are_added():
    first = {("r5", "A"): person(0, 1), ("r6", "A"): person(1, 1)}
    before = link({}, first)
    known = {member: (before[member], embedding) for member, embedding in first.items()}
    added = link(known, {("r1", "A"): person(1, 2), ("r1", "B"): person(0, 2), ("r7", "A"): person(2)})
    assert added["r1", "A"] == before["r6", "A"] and added["r1", "B"] == before["r5", "A"]
    assert added["r7", "A"] not in before.values() and added.keys().isdisjoint(before)


def test_what_is_linked_at_once_does_not_depend_on_the_order_it_comes_in():
    members = {(f"r{n}", name): person(who, n) for n in range(6) for name, who in (("A", n % 3), ("B", 3))}
    assert link({}, members) == link({}, dict(reversed(members.items())))
    assert len(set(link({}, members).values())) == 4


def test_two_of_one_recording_are_two_people_and_the_likelier_gets_the_voice():
    known = {("r1", "A"): ("voice-x", person(0))}
    found = link(known, {("r2", "A"): person(0, 5, noise=0.03), ("r2", "B"): person(0, 0)})
    assert found["r2", "B"] == "voice-x" != found["r2", "A"]
    assert link(known, {("r1", "B"): person(0)})["r1", "B"] != "voice-x"


def test_many_voices_are_kept_apart():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    once = {(f"r{n:03d}", "A"): vector for n, vector in enumerate(vectors)}
    first = link({}, once)
    assert len(set(first.values())) == 300
    known = {member: (first[member], embedding) for member, embedding in once.items()}
    again = link(known, {(f"s{n:03d}", "A"): vector for n, vector in enumerate(vectors)})
    assert list(again.values()) == [first[f"r{n:03d}", "A"] for n in range(300)]
