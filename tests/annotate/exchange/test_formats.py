"""What holds for every format: what is written and read back changes nothing, and what is edited arrives as that edit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.exchange.talks import file_of, merged, sheet_of, talks, texts, with_line, with_turn
from rosella.annotate.exchange import formats
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.merging import Merged
from rosella.annotate.exchange.sheet import folded
from rosella.errors import UserError
from rosella.records import Turn

every_format = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


@every_format
@settings(max_examples=40, deadline=None)
@given(states=talks())
def test_what_is_written_and_read_back_changes_nothing(format, states):
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(sheet_of(states, format), format, Path(folder))
        assert merged(path, format, states) == Merged(same=len(states))


def visible(format, states):
    """Number of the line, of the clip and of the turn of everything a file of the format shows."""
    places = [(clip, turn) for clip, state in enumerate(states) for turn in range(len(state.turns))]
    lines = sheet_of(states, format).lines
    return [(n, *place) for n, place in enumerate(places) if format.seen(lines[n]) is not None]


@every_format
@settings(max_examples=40, deadline=None)
@given(data=st.data(), states=talks(), words=texts)
def test_an_edited_text_arrives_as_that_edit(format, data, states, words):
    shown = visible(format, states)
    if not shown:
        return
    number, clip, turn = data.draw(st.sampled_from(shown))
    before = states[clip].turns[turn]
    if folded(before.text) == folded(words):
        return
    sheet = with_line(sheet_of(states, format), number, text=folded(words))
    with tempfile.TemporaryDirectory() as folder:
        result = merged(file_of(sheet, format, Path(folder)), format, states)
    holds_clean = sheet.has_clean and format is not FORMATS["srt"]
    clean = before.text_clean if holds_clean or before.text_clean is None else f"tidy {folded(words)}"
    if format is FORMATS["labelstudio"]:
        clean = before.text_clean
    assert result.after == {clip: with_turn(states, clip, turn, text=folded(words), text_clean=clean)}


@every_format
@settings(max_examples=40, deadline=None)
@given(data=st.data(), states=talks())
def test_a_moved_end_arrives_as_that_edit(format, data, states):
    shown = [place for place in visible(format, states) if states[place[1]].turns[place[2]].text]
    if not shown:
        return
    number, clip, turn = data.draw(st.sampled_from(shown))
    sheet = sheet_of(states, format)
    line = sheet.lines[number]
    end = (line.start + line.end) // 2
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(with_line(sheet, number, end=end), format, Path(folder))
        result = merged(path, format, states)
    assert result.after == {clip: with_turn(states, clip, turn, end=end / 1000)}


TALK = [
    (0.0, [Turn(0.5, 2.0, "Anna", "eh hallo", "Hallo"), Turn(2.25, 3.0, "Ben", "ja (laughs)", "Ja")]),
    (10.0, [Turn(10.5, 12.0, "Anna", "tot ziens", "Tot ziens"), Turn(12.0, 14.0, "Ben", "")]),
]


def test_files_are_found_by_their_endings(tmp_path):
    for name in ("b/x.EAF", "a.srt", "c.TextGrid", "d.vtt", "e.json", "notes.txt", "f.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in formats.files(tmp_path)] == [
        "a.srt",
        "x.EAF",
        "c.TextGrid",
        "d.vtt",
        "e.json",
    ]
    assert list(formats.files(tmp_path / "notes.txt")) == [tmp_path / "notes.txt"]
    (tmp_path / "empty").mkdir()
    for source, message in (("gone", "does not exist"), ("empty", "holds no annotations")):
        with pytest.raises(UserError, match=message):
            list(formats.files(tmp_path / source))
    with pytest.raises(UserError, match=r"ends in \.json, \.eaf, \.textgrid, \.srt or \.vtt"):
        formats.read(tmp_path / "notes.txt", lambda _: [])


def test_what_would_fill_the_memory_is_refused_unread(tmp_path):
    path = tmp_path / "talk.eaf"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(UserError, match="it has 100 MB and at most 67 MB are read"):
        formats.read(path, lambda _: [])
