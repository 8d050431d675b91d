from __future__ import annotations

import pytest

from asr.prepare.sources import TEXTGRID_LONG, TEXTGRID_SHORT
from rosella.asr.prepare import textgrid
from rosella.asr.prepare.notation import Tally
from rosella.errors import UserError
from rosella.records import Turn

TURNS = [
    Turn(0.5, 2.5, "Zoë", 'hij zei "nee" of 3 keer\n ja'),
    Turn(2.0, 6.0, "Ben", "uh 100 keer (laughs)"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "content",
    [
        TEXTGRID_LONG,
        TEXTGRID_SHORT,
        TEXTGRID_SHORT.replace("ooTextFile", "ooTextFile short").replace("Object class = ", ""),
    ],
    ids=["long", "short", "old short"],
)
def test_long_and_short_files_say_the_same(tmp_path, content, encoding):
    path = tmp_path / "talk.TextGrid"
    bom = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(bom + content.encode(encoding))
    (tmp_path / "talk.mp3").touch()
    tally = Tally()
    assert textgrid.read(path, (), tally) == (tmp_path / "talk.mp3", TURNS)
    assert tally == {"tiers left out (clicks)": 1}


def test_tiers_that_are_no_speech_are_left_out(tmp_path):
    path = tmp_path / "talk.TextGrid"
    path.write_text(TEXTGRID_LONG, encoding="utf-8")
    assert textgrid.read(path, ("Ben",), Tally())[1] == TURNS[:1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXTGRID_LONG[:-40], "cut off"),
        (TEXTGRID_SHORT[: len(TEXTGRID_SHORT) // 2], "cut off"),
        ("", "cut off"),
        (TEXTGRID_LONG.replace('"TextGrid"', '"PitchTier"'), "another kind"),
        (TEXTGRID_LONG.replace("xmax = 2.5", 'xmax = "later"'), "no time"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, message):
    path = tmp_path / "talk.TextGrid"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        textgrid.read(path, (), Tally())


def test_another_encoding_is_refused(tmp_path):
    path = tmp_path / "talk.TextGrid"
    path.write_bytes(TEXTGRID_LONG.encode("latin-1"))
    with pytest.raises(UserError, match="neither UTF-8 nor UTF-16"):
        textgrid.read(path, (), Tally())
