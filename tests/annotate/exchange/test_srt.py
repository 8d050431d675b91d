from __future__ import annotations

import pytest

from annotate.exchange.talks import file_of, merged, sheet_of
from rosella.annotate.exchange import srt
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.merging import Merged
from rosella.annotate.exchange.sheet import Line
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError
from rosella.records import Turn

SRT = FORMATS["srt"]
TALK = [
    ClipState(0.0, 5.0, (Turn(0.5, 2.0, "anna", "eh: hallo"), Turn(2.25, 3.0, "Ben", "R&B -- <ja>"))),
    ClipState(3605.0, 3610.0, (Turn(3605.5, 3607.25, "anna", "tot ziens"), Turn(3608.0, 3609.0, "Ben", ""))),
]

FILE = """1
00:00:00,500 --> 00:00:02,000
anna: eh: hallo

2
00:00:02,250 --> 00:00:03,000
Ben: R&amp;B -- &lt;ja&gt;

3
01:00:05,500 --> 01:00:07,250
anna: tot ziens
"""


def read(path, content, names=()):
    path.write_text(content, "utf-8")
    (sheet,) = srt.read(path, lambda _: names)
    return sheet


def test_a_cue_for_each_turn_with_words():
    assert srt.write(sheet_of(TALK, SRT)) == FILE


def test_names_that_look_like_speech_are_known_by_the_recording(tmp_path):
    lines = read(tmp_path / "talk.srt", FILE, ["anna", "Ben"]).lines
    assert [(line.speaker, line.text) for line in lines] == [
        ("anna", "eh: hallo"), ("Ben", "R&B -- <ja>"), ("anna", "tot ziens"),
    ]  # fmt: skip


def test_of_two_names_the_longer_is_meant(tmp_path):
    lines = read(tmp_path / "talk.srt", FILE.replace("anna: eh:", "A: b: eh:"), ["A", "A: b", "B"]).lines
    assert (lines[0].speaker, lines[0].text) == ("A: b", "eh: hallo")


def test_where_nobody_is_named_speakers_stay_who_they_are(tmp_path):
    content = FILE.replace("anna: eh: hallo", "eh hallo").replace("Ben: ", "").replace("anna: ", "")
    path = file_of(sheet_of(TALK, SRT), SRT, tmp_path)
    path.write_text(content, "utf-8")
    assert read(path, content).lines[0] == Line(500, 2000, None, "eh hallo")
    result = merged(path, SRT, TALK)
    assert [[(t.speaker, t.text) for t in after.turns] for after in result.after.values()] == [
        [("anna", "eh hallo"), ("Ben", "R&B -- <ja>")]
    ]
    assert result.same == 1


def test_a_cue_that_is_divided_is_two_turns(tmp_path):
    path = file_of(sheet_of(TALK, SRT), SRT, tmp_path)
    cue = "2\n00:00:02,250 --> 00:00:03,000\nBen: R&amp;B -- &lt;ja&gt;\n"
    two = "2\n00:00:02,250 --> 00:00:02,600\nBen: R&amp;B\n\n3\n00:00:02,600 --> 00:00:03,000\nanna: ja\n"
    path.write_text(FILE.replace(cue, two), "utf-8")
    result = merged(path, SRT, TALK)
    assert result == Merged(after=result.after, same=1)
    assert result.after[0].turns == (
        TALK[0].turns[0], Turn(2.25, 2.6, "Ben", "R&B"), Turn(2.6, 3.0, "anna", "ja"),
    )  # fmt: skip


def test_a_file_that_was_cut_off_deletes_nothing(tmp_path):
    path = file_of(sheet_of(TALK, SRT), SRT, tmp_path)
    path.write_text(FILE[: FILE.index("\n3\n")], "utf-8")
    assert merged(path, SRT, TALK) == Merged(same=2, untold=1)


def test_webvtt_is_read_too(tmp_path):
    sheet = read(tmp_path / "talk.vtt", "WEBVTT\n\n00:00.500 --> 00:02.000\n<v Anna>eh hallo</v>\n")
    assert sheet.lines == (Line(500, 2000, "Anna", "eh hallo"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"1\n00:00:0x --> 00:00:01,0\nhoi\n", "time that cannot be read"), (b"\xff\xfe1\x00", "not UTF-8")],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, message):
    path = tmp_path / "talk.srt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        srt.read(path, lambda _: [])
