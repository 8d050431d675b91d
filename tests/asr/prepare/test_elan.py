from __future__ import annotations

import pytest

from asr.prepare.sources import EAF
from corpus.fakes import save_tone
from rosella.asr.prepare import elan
from rosella.asr.prepare.notation import Tally
from rosella.errors import UserError
from rosella.records import Turn

IGNORED = ("BACKGROUND",)


@pytest.fixture
def talk(tmp_path):
    save_tone(tmp_path / "my talk.wav", 6.0)
    path = tmp_path / "talk.eaf"
    path.write_text(EAF, encoding="utf-8")
    return path


def test_tiers_without_a_parent_are_speakers(talk):
    tally = Tally()
    audio, turns = elan.read(talk, IGNORED, tally)
    assert audio == talk.parent / "my talk.wav"
    assert turns == [
        Turn(0.5, 2.5, "Anna", "Uhm, wa- wat zei je?"),
        Turn(2.0, 4.0, "Ben", "[lacht] niks <cough>"),
    ]
    assert tally == {"tiers left out (A_gloss)": 1, "tiers left out (BACKGROUND)": 1}


def test_the_audio_is_found_by_either_name_or_beside(talk):
    talk.write_text(EAF.replace("./my%20talk.wav", "../gone/else.wav"), encoding="utf-8")
    assert elan.read(talk, IGNORED, Tally())[0] == talk.parent / "my talk.wav"
    save_tone(talk.with_suffix(".flac"), 6.0)
    talk.write_text(EAF.replace("my%20talk", "gone"), encoding="utf-8")
    assert elan.read(talk, IGNORED, Tally())[0] == talk.with_suffix(".flac")


def test_times_count_from_the_origin_of_the_medium(talk):
    talk.write_text(EAF.replace("MIME_TYPE", 'TIME_ORIGIN="1500" MIME_TYPE'), encoding="utf-8")
    assert elan.read(talk, IGNORED, Tally())[1][0].start == 2.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (' TIME_VALUE="2500"', "", "a1 has no time"),
        ("ANNOTATION_DOCUMENT", "html", "no ELAN file"),
        ("</ANNOTATION_DOCUMENT>", "", "not valid XML"),
    ],
)
def test_what_cannot_be_read_is_refused(talk, old, new, message):
    talk.write_text(EAF.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        elan.read(talk, IGNORED, Tally())
