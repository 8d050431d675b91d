from __future__ import annotations

from rosella.annotate.exchange.placing import place, rooms, texts
from rosella.annotate.exchange.sheet import Line, Note
from rosella.corpus.corrections.clip import ClipState

CLIPS = rooms([ClipState(1.0, 4.0, ()), ClipState(5.0, 9.0, ()), ClipState(20.0, 25.0, ())], 30_000)


def line(start, end):
    return Line(start, end, "Anna", "ja")


def test_a_clip_has_room_up_to_its_neighbours():
    assert [(room.low, room.high) for room in CLIPS] == [(0, 5000), (4000, 20_000), (9000, 30_000)]


def test_a_line_goes_where_most_of_it_is_and_is_cut_at_the_next_clip():
    placed = place([line(500, 4500), line(3000, 8000), line(8000, 15_000), line(24_000, 31_000)], CLIPS)
    assert placed.lines == [[line(500, 4500)], [line(4000, 8000), line(8000, 15_000)], [line(24_000, 30_000)]]
    assert (placed.cut, placed.outside) == (2, 0)


def test_a_line_in_no_clip_is_passed_over():
    placed = place([line(0, 900), line(4000, 5000), line(12_000, 13_000), line(28_000, 29_000)], CLIPS)
    assert placed.outside == 4 and placed.lines == [[], [], []]
    assert place([line(0, 900)], []).outside == 1


def test_notes_of_a_clip_are_read_together():
    notes = [
        Note(1000, 2000, "eerst"),
        Note(2000, 3000, ""),
        Note(3000, 4000, "dan"),
        Note(15_000, 16_000, "x"),
    ]
    assert texts(notes, CLIPS) == [("eerst dan", 1000), ("", 0), ("", 0)]
