from __future__ import annotations

import numpy as np
import pytest

from rosella.corpus.catalogue.speakers import embeddings, heard_in, link_speakers, replace_speakers, voices
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.speakers import link
from rosella.records import Recording


def person(number: int, day: int = 0, noise: float = 0.02) -> np.ndarray:
    """The embedding of a person on some day: unit length, close to the same on other days."""
    rng = np.random.default_rng([number, day])
    vector = np.eye(64)[number] + noise * rng.standard_normal(64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


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


@pytest.fixture
def catalogue(database_url):
    catalogue = Catalogue.open(database_url)
    for number in range(3):
        recording = Recording(f"r{number}", f"/r{number}.wav", 60.0, 16_000, 1)
        catalogue.add(recording, Source(recording.path, 1, 1), [])
    yield catalogue
    catalogue.close()


def store(catalogue: Catalogue, recording: str, found: dict[str, np.ndarray], version: str = "1") -> None:
    with catalogue.session() as session:
        replace_speakers(session, recording, version, found)


def test_speakers_in_the_catalogue(catalogue):
    store(catalogue, "r0", {"A": person(0, 1), "B": person(1, 1)})
    store(catalogue, "r1", {"A": person(1, 2)})
    np.testing.assert_array_equal(embeddings(catalogue, "r1")["A"], person(1, 2))
    assert voices(catalogue, "r0") == {} and link_speakers(catalogue) == 3 and link_speakers(catalogue) == 0
    linked = voices(catalogue, "r0")
    assert heard_in(catalogue, linked["B"]) == [("r0", "B"), ("r1", "A")]

    store(catalogue, "r0", {"A": person(0, 1), "B": person(1, 1)})  # found again, just so
    assert voices(catalogue, "r0") == linked
    store(catalogue, "r0", {"A": person(2), "B": person(0, 3)})
    store(catalogue, "r2", {"A": person(1, 3)}, version="2")
    assert voices(catalogue, "r0") == {} and link_speakers(catalogue) == 3
    assert voices(catalogue, "r1").items() <= {"A": linked["B"]}.items()
    assert voices(catalogue, "r2")["A"] != linked["B"]  # embeddings of another version say nothing


def test_a_voice_does_not_outlive_its_recording(catalogue):
    from sqlalchemy import delete

    from rosella.corpus.catalogue.models import RecordingRow

    store(catalogue, "r0", {"A": person(0)})
    link_speakers(catalogue)
    (voice,) = voices(catalogue, "r0").values()
    assert "r0" not in voice
    with catalogue.session() as session:
        session.execute(delete(RecordingRow).where(RecordingRow.id == "r0"))
    assert heard_in(catalogue, voice) == []


def test_what_diarizing_finds_is_stored_with_it(catalogue):
    catalogue.finish("r0", "diarize", "v7", embeddings={"A": person(0)})
    assert list(embeddings(catalogue, "r0")) == ["A"]
    catalogue.finish("r0", "diarize", "v7", embeddings={})
    assert embeddings(catalogue, "r0") == {}
