from __future__ import annotations

import pytest

from annotate.exchange.talks import file_of, known_of, merged, sheet_of
from asr.prepare.sources import TEXTGRID_LONG, TEXTGRID_SHORT
from rosella.annotate.exchange import textgrid
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.sheet import Line, Note
from rosella.asr.prepare import textgrid as annotated_speech
from rosella.asr.prepare.notation import Tally
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError
from rosella.records import Turn

PRAAT = FORMATS["textgrid"]
TALK = [
    ClipState(
        0.0,
        5.0,
        (Turn(0.5, 2.0, "Anna", 'zei "nee"', "Nee"), Turn(2.0, 3.0, "Anna", "")),
        "accepted",
        None,
        "hm",
    )
]

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 5.000 
tiers? <exists> 
size = 4 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "Anna" 
        xmin = 0 
        xmax = 5.000 
        intervals: size = 4 
        intervals [1]:
            xmin = 0.000 
            xmax = 0.500 
            text = "" 
        intervals [2]:
            xmin = 0.500 
            xmax = 2.000 
            text = "zei ""nee""" 
        intervals [3]:
            xmin = 2.000 
            xmax = 3.000 
            text = "" 
        intervals [4]:
            xmin = 3.000 
            xmax = 5.000 
            text = "" 
'''  # fmt: skip  # noqa: W291


def nobody(sheet):
    return []


def read(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    (sheet,) = textgrid.read(path, nobody)
    return sheet


def test_it_is_written_as_praat_writes_it(tmp_path):
    sheet = sheet_of(TALK, PRAAT)
    written = textgrid.write(type(sheet)(**{**vars(sheet), "duration": 5000}))
    assert written.startswith(LONG)
    assert written.count('"IntervalTier"') == 4 and 'name = "Anna (clean)"' in written
    path = tmp_path / "talk.TextGrid"
    path.write_text(written, "utf-8")
    assert annotated_speech.read(path, ("COMMENT",), Tally())[1] == [Turn(0.5, 2.0, "Anna", 'zei "nee"')]


def test_it_is_as_long_as_what_lasts_longest():
    sheet = sheet_of(TALK, PRAAT)
    assert "xmax = 5.000" in textgrid.write(type(sheet)(**{**vars(sheet), "duration": 10}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("content", [TEXTGRID_LONG, TEXTGRID_SHORT], ids=["long", "short"])
def test_what_praat_wrote_is_read(tmp_path, content, encoding):
    sheet = read(tmp_path / "talk.TextGrid", content, encoding)
    assert sheet.lines == (
        Line(500, 2500, "Zoë", 'hij zei "nee" of 3 keer ja'),
        Line(2000, 6000, "Ben", "uh 100 keer (laughs)"),
    )
    assert (sheet.verdicts, sheet.comments, sheet.has_clean, sheet.media) == (None, None, False, ())


def test_clean_texts_go_to_the_turn_they_lie_on_most(tmp_path):
    content = TEXTGRID_SHORT.replace('"Ben"', '"Zoë (clean)"').replace('0\n2\n""\n2\n6', '0\n1\n""\n1\n6')
    assert [line.clean for line in read(tmp_path / "t.TextGrid", content).lines] == ["uh 100 keer (laughs)"]


def test_words_written_into_an_empty_turn_are_its_words(tmp_path):
    path = file_of(sheet_of(TALK, PRAAT), PRAAT, tmp_path)
    empty = 'xmin = 2.000 \n            xmax = 3.000 \n            text = ""'
    content = path.read_text("utf-8")
    path.write_text(content.replace(empty, empty[:-1] + 'ja"', 1), "utf-8")
    (after,) = merged(path, PRAAT, TALK, known_of(TALK)).after.values()
    assert after.turns == (TALK[0].turns[0], Turn(2.0, 3.0, "Anna", "ja"))


def test_notes_without_words_are_none(tmp_path):
    sheet = read(tmp_path / "t.TextGrid", TEXTGRID_SHORT.replace('"Ben"', '"VERDICT"'))
    assert sheet.verdicts == (Note(2000, 6000, "uh 100 keer (laughs)"),) and sheet.comments is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXTGRID_LONG[:-40], "cut off"),
        ("", "cut off"),
        (TEXTGRID_LONG.replace("size = 3", "size = 999999999", 1), "cut off"),
        (TEXTGRID_LONG.replace('"TextGrid"', '"PitchTier"'), "another kind"),
        (TEXTGRID_LONG.replace("xmax = 2.5", "xmax = 1e999"), "no time"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path / "talk.TextGrid", content)
