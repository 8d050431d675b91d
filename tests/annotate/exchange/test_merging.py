"""How lines of other programs become turns. What holds for every format is tested in test_formats.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from annotate.exchange.talks import DURATION, known_of
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.merging import Dialect, Known, Merged, merge
from rosella.annotate.exchange.sheet import OVERLAP, Line, Sheet
from rosella.corpus.corrections.clip import ClipState
from rosella.records import Turn

CLIP = ClipState(1.0, 9.0, (Turn(1.0, 4.0, "Anna", "eh ja", "Ja"), Turn(4.5, 8.0, "Ben", "nee", "Nee")))
LINES = (Line(1000, 4000, "Anna", "eh ja"), Line(4500, 8000, "Ben", "nee"))


def merging(*lines, clip=CLIP, known=None, has_clean=False):
    dialect = Dialect.of(FORMATS["elan"], [clip], has_clean, lambda text: f"tidy {text}")
    return merge(Sheet((), lines, has_clean=has_clean), known or known_of([clip]), dialect, DURATION)


def turns(*lines, **more):
    (after,) = merging(*lines, **more).after.values()
    return after.turns


def test_lines_without_clean_texts_leave_those_of_unchanged_words():
    assert merging(*LINES) == Merged(same=1)
    first, second = turns(replace(LINES[0], text="eh jawel"), LINES[1])
    assert (first.text_clean, second) == ("tidy eh jawel", CLIP.turns[1])


def test_a_new_line_is_a_new_turn_with_a_clean_text_by_rule():
    assert turns(*LINES, Line(8000, 8500, "Cees", "uh tja"))[2] == Turn(
        8.0, 8.5, "Cees", "uh tja", "tidy uh tja"
    )
    own = Line(8000, 8500, "Cees", "uh tja", "Tja")
    lines = (replace(LINES[0], clean="Ja"), replace(LINES[1], clean="Nee"), own)
    assert turns(*lines, has_clean=True)[2] == Turn(8.0, 8.5, "Cees", "uh tja", "Tja")


def test_a_line_that_is_gone_is_a_turn_that_is_gone():
    assert turns(LINES[1]) == CLIP.turns[1:]


def test_two_who_change_places():
    assert [
        turn.speaker for turn in turns(replace(LINES[0], speaker="Ben"), replace(LINES[1], speaker="Anna"))
    ] == [
        "Ben",
        "Anna",
    ]


def test_what_cannot_be_used_and_what_can_again():
    (unused, _) = turns(replace(LINES[0], speaker=OVERLAP), LINES[1])
    assert unused == replace(CLIP.turns[0], overlap=True)
    clip = replace(CLIP, turns=(unused, CLIP.turns[1]))
    assert turns(*LINES, clip=clip) == CLIP.turns


@pytest.mark.parametrize(
    ("first", "second", "times"),
    [
        ((1000, 6000), (4000, 8000), [(1.0, 4.0), (4.0, 8.0)]),
        ((1000, 8000), (3000, 4000), [(1.0, 3.0), (3.0, 4.0)]),
        ((1000, 5000), (1000, 5000), [(1.0, 3.0), (3.0, 5.0)]),
        ((1000, 5000), (1010, 8000), [(1.0, 3.0), (3.0, 8.0)]),
    ],
)
def test_of_two_who_speak_at_once_the_first_ends_where_the_second_begins(first, second, times):
    result = merging(Line(*first, "Anna", "eh ja"), Line(*second, "Ben", "nee"))
    assert [(turn.start, turn.end) for turn in result.after[0].turns] == times and result.parted == 1


def test_a_clip_without_lines_stays_and_is_counted():
    assert merging() == Merged(same=1, untold=1)
    assert merging(clip=replace(CLIP, turns=(Turn(1.0, 4.0, "", "", overlap=True),))).untold == 1


def test_a_clip_that_people_changed_is_left_unless_they_changed_it_alike():
    now = replace(
        CLIP, turns=(replace(CLIP.turns[0], text="eh jawel", text_clean="tidy eh jawel"), CLIP.turns[1])
    )
    (one,) = known_of([now])
    for base, text, left in (
        (CLIP, "nou", 1),
        (CLIP, "eh jawel", 0),
        (CLIP, "eh ja", 0),
        (None, "nou", 1),
        (None, "eh jawel", 0),
    ):
        result = merging(replace(LINES[0], text=text), LINES[1], known=[Known(one.clip, base)])
        assert (result.left, result.after) == (left, {}), (base, text)
