"""On SQLite and on PostgreSQL, which know upper and lower case in different ways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corpus.fakes import taken
from rosella.corpus.catalogue.corrections import Change, read, rename_speaker, save
from rosella.corpus.catalogue.search import search
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.stage import StageResult
from rosella.errors import UserError
from rosella.records import Recording, Turn, Utterance, utterance_id

A, B = "a" * 32, "b" * 32


def said(recording, start, text, speakers, clean=None):
    end = start + 5.0
    return Utterance(utterance_id(recording, start, end), recording, start, end, text, clean, speakers)


@pytest.fixture
def catalogue(database_url):
    opened = Catalogue.open(database_url)
    for recording in (A, B):
        opened.add(Recording(recording, f"/{recording}", 60.0, 16000, 1), Source(f"/{recording}", 1, 1), [])
        turns = [Turn(1.0, 3.0, "x", ""), Turn(3.0, 6.0, "y", ""), Turn(10.0, 15.0, "x", "")]
        opened.finish(taken(opened, recording, "diarize"), StageResult(turns=turns))
    first = [
        said(A, 1.0, "[S1] een Étage 100% [S2] eenheid", ("x", "y")),
        said(A, 10.0, "[S1] uh hallo", ("x",), "[S1] Hallo één"),
    ]
    opened.finish(taken(opened, A, "segment"), StageResult(first))
    opened.finish(taken(opened, B, "segment"), StageResult([said(B, 1.0, "[S1] EEN a_b", ("x",))]))
    yield opened
    opened.close()


def found(catalogue, text, speaker=None, whole=True, case=False, limit=100):
    return [(f.recording[0], f.start, f.turn) for f in search(catalogue, text, speaker, whole, case, limit)]


def test_words_are_found_whole_or_in_part_and_in_any_case(catalogue):
    assert found(catalogue, "een") == [("a", 1.0, 0), ("b", 1.0, 0)]
    assert found(catalogue, "een", whole=False) == [("a", 1.0, 0), ("a", 3.0, 1), ("b", 1.0, 0)]
    assert found(catalogue, "een", case=True) == [("a", 1.0, 0)]
    assert found(catalogue, "étage") == [("a", 1.0, 0)] and found(catalogue, "étage", case=True) == []
    assert found(catalogue, "ÉÉN") == [("a", 10.0, 0)], "in the clean text"
    assert found(catalogue, "een", limit=1) == [("a", 1.0, 0)]


def test_signs_of_patterns_are_signs(catalogue):
    assert found(catalogue, "100%") == [("a", 1.0, 0)] and found(catalogue, "1%", whole=False) == []
    assert found(catalogue, "a_b") == [("b", 1.0, 0)] and found(catalogue, "a.b") == []
    assert found(catalogue, "'/; --") == []


def test_speakers_are_found_by_the_names_that_people_gave(catalogue):
    assert found(catalogue, "een", "x") == [("a", 1.0, 0), ("b", 1.0, 0)]
    rename_speaker(catalogue, "anna", A, "x", "Éva", "1")
    assert found(catalogue, "een", "Éva") == [("a", 1.0, 0)] and found(catalogue, "een", "x") == [
        ("b", 1.0, 0)
    ]
    assert found(catalogue, "", "Éva") == [("a", 1.0, 0), ("a", 10.0, 0)]


def test_what_was_corrected_is_found_and_what_it_was_is_not(catalogue):
    clip = read(catalogue, utterance_id(A, 1.0, 6.0))
    turns = replace(clip.state.turns[0], text="zes", overlap=False), *clip.state.turns[1:]
    turns = turns[0], Turn(2.5, 2.8, "", "", overlap=True), replace(turns[1], text="zes")
    state = replace(clip.state, turns=(replace(turns[0], end=2.4), *turns[1:]))
    save(catalogue, "anna", [Change(clip.id, 0, state, "edit")], "1")
    assert len(catalogue.utterances(A)) == 3, "divided in two"
    assert found(catalogue, "zes") == [("a", 1.0, 0), ("a", 3.0, 2)]
    assert found(catalogue, "een") == [("b", 1.0, 0)]


@pytest.mark.parametrize(("text", "speaker"), [("", None), (" ", None), ("\0", "x"), ("", "")])
def test_there_must_be_something_to_look_for(catalogue, text, speaker):
    with pytest.raises(UserError, match="nothing to look for"):
        search(catalogue, text, speaker, True, False, 10)
