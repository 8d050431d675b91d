from __future__ import annotations

import pytest

from rosella.annotate.edits import Edits, agreement, edits
from rosella.corpus.corrections.clip import ClipState
from rosella.records import Turn


def state(*turns: Turn, verdict=None) -> ClipState:
    return ClipState(0.0, 10.0, turns, verdict)


def say(start: float, end: float, text: str, speaker: str = "anna", **more) -> Turn:
    return Turn(start, end, speaker, text, **more)


DRAFT = state(say(0, 4, "eh de kat zit op de mat"), say(4, 8, "ja dat is waar", "ben"))


def test_words_are_counted_by_what_became_of_them():
    after = state(say(0, 4, "Eh, de hond zit op mat!"), say(4, 8, "ja dat is (laughs) waar", "ben"))
    assert edits(DRAFT, after) == Edits(substituted=1, inserted=1, deleted=1)
    assert edits(DRAFT, after).errors == 3


def test_a_stretch_of_words_that_another_said_is_one_error():
    first, second = DRAFT.turns
    after = state(say(0, 4, "eh de kat zit", "anna"), say(4, 5, "op de mat", "ben"), second)
    assert edits(DRAFT, after) == Edits(speaker=1, times=1)
    swapped = state(say(0, 4, first.text, "ben"), say(4, 8, second.text, "anna"))
    assert edits(DRAFT, swapped) == Edits(speaker=1)


def test_edges_that_moved_are_counted_and_are_no_errors():
    after = state(say(0.01, 4.3, DRAFT.turns[0].text), say(4.3, 8.02, DRAFT.turns[1].text, "ben"))
    assert edits(DRAFT, after) == Edits(times=1)
    assert edits(DRAFT, after).errors == 0


def test_words_of_a_turn_that_is_not_used_are_gone():
    after = state(say(0, 4, DRAFT.turns[0].text, overlap=True), DRAFT.turns[1])
    assert edits(DRAFT, after).deleted == 7


def test_two_people_agree_by_words_and_by_time():
    other = state(say(0, 2, "eh de kat zit op de mat"), say(2, 8, "ja dit is waar", "ben"))
    found = agreement(DRAFT, other)
    assert (found.words, found.edits) == (11, 1)
    assert (found.seconds, found.agreed) == pytest.approx((8.0, 6.0))


def test_who_rejects_a_clip_agrees_in_nothing_with_who_accepts_it():
    found = agreement(DRAFT, state(*DRAFT.turns, verdict="rejected"))
    assert (found.words, found.edits, found.agreed) == (11, 11, 0.0)
    both = agreement(state(*DRAFT.turns, verdict="rejected"), state(*DRAFT.turns, verdict="rejected"))
    assert (both.words, both.edits, both.seconds) == (0, 0, 0.0)
