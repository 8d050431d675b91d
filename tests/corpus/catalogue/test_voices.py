from __future__ import annotations

import numpy as np
import pytest

from corpus.fakes import person, taken
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.catalogue.voices import embeddings, link_speakers, replace_speakers, voices
from rosella.corpus.stage import StageResult
from rosella.records import Recording


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
    assert voices(catalogue, "r1") == {"A": linked["B"]}

    store(catalogue, "r0", {"A": person(0, 1), "B": person(1, 1)})  # found again, just so
    assert voices(catalogue, "r0") == linked
    store(catalogue, "r0", {"A": person(2), "B": person(0, 3)})
    store(catalogue, "r2", {"A": person(1, 3)}, version="2")
    assert voices(catalogue, "r0") == {} and link_speakers(catalogue) == 3
    assert voices(catalogue, "r1").items() <= {"A": linked["B"]}.items()
    assert voices(catalogue, "r2")["A"] != linked["B"]  # embeddings of another version say nothing


def test_a_voice_does_not_outlive_its_recording(catalogue):
    from sqlalchemy import delete

    from rosella.corpus.catalogue.tables import RecordingRow

    store(catalogue, "r0", {"A": person(0)})
    link_speakers(catalogue)
    (voice,) = voices(catalogue, "r0").values()
    assert "r0" not in voice
    with catalogue.session() as session:
        session.execute(delete(RecordingRow).where(RecordingRow.id == "r0"))
    assert voices(catalogue, "r0") == {}


def test_what_diarizing_finds_is_stored_with_it(catalogue):
    found = StageResult(embeddings={"A": person(0)})
    catalogue.finish(taken(catalogue, "r0", "diarize", "v7"), found)
    assert list(embeddings(catalogue, "r0")) == ["A"]
    catalogue.finish(taken(catalogue, "r0", "diarize", "v7"), StageResult(embeddings={}))
    assert embeddings(catalogue, "r0") == {}
