"""Corrections of a word, offered again."""

from __future__ import annotations

from dataclasses import replace

from annotate.small import ONE, THREE, TWO
from rosella.annotate.suggestions import Suggestion, Suggestions
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change
from rosella.corpus.corrections.clip import ClipState
from rosella.records import Turn


def say(catalogue, clip: str, text: str) -> int:
    """Correct the first turn of a clip; the number of the correction."""
    before = corrections.read(catalogue, clip)
    turns = (replace(before.state.turns[0], text=text), *before.state.turns[1:])
    change = Change(clip, before.version, replace(before.state, turns=turns), "edit")
    corrections.save(catalogue, "Anna", [change], f"{clip} {before.version}")
    return corrections.newest(catalogue)


def clip(text: str) -> ClipState:
    return ClipState(0.0, 1.0, (Turn(0.0, 0.5, "A", "niets"), Turn(0.5, 1.0, "A", text)))


def test_the_correction_that_a_word_had_most_often_is_offered(catalogue):
    offered = Suggestions(catalogue)
    assert offered.of(clip("Halo, halo!")) == []
    say(catalogue, ONE.id, "eh hallo")
    assert offered.of(clip("Dus halo!")) == [Suggestion(1, "halo", "hallo", 1)]
    say(catalogue, TWO.id, "wij gaan naar hola")
    say(catalogue, THREE.id, "hallo")
    assert (
        offered.of(clip("halo"))
        == Suggestions(catalogue).of(clip("halo"))
        == [Suggestion(1, "halo", "hallo", 2)]
    )


def test_what_was_taken_back_is_not_offered(catalogue):
    offered = Suggestions(catalogue)
    number = say(catalogue, ONE.id, "eh hallo")
    assert offered.of(clip("halo")) != []
    corrections.undo(catalogue, "Anna", number, "undo")
    assert offered.of(clip("halo")) == []


def test_what_people_do_not_agree_on_is_not_offered(catalogue):
    say(catalogue, ONE.id, "eh hallo")
    say(catalogue, ONE.id, "eh halo")
    assert Suggestions(catalogue).of(clip("halo")) == []
    assert Suggestions(catalogue).of(clip("hallo")) == []


def test_words_that_came_or_went_are_no_corrections_of_others(catalogue):
    say(catalogue, ONE.id, "eh nou halo zeg")
    say(catalogue, TWO.id, "wij naar halo")
    assert Suggestions(catalogue).of(clip("eh nou halo zeg wij gaan naar")) == []


def test_a_word_that_is_mostly_left_as_it_is_and_an_event_are_not_offered(catalogue):
    say(catalogue, ONE.id, "eh (laughs) hallo")
    assert Suggestions(catalogue).of(clip("(laughs) halo")) == [Suggestion(1, "halo", "hallo", 1)]
    say(catalogue, ONE.id, "eh (coughs) hallo")
    assert Suggestions(catalogue).of(clip("(laughs)")) == []
    accept(catalogue, TWO.id)
    assert Suggestions(catalogue).of(clip("halo")) == []


def accept(catalogue, clip: str) -> None:
    before = corrections.read(catalogue, clip)
    change = Change(clip, before.version, replace(before.state, verdict="accepted"), "accept")
    corrections.save(catalogue, "Anna", [change], f"{clip} accepted")
