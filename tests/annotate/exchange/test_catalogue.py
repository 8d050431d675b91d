"""Which recording a file is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosella.annotate.exchange.catalogue import Place, found, named
from rosella.annotate.exchange.sheet import Mark, Sheet
from rosella.errors import UserError

TALK = Place("a" * 32, "/audio/my talk.wav", 60.0, "nl")
SAME = Place("b" * 32, "/else/my talk.wav", 60.0, "nl")
OTHER = Place("c" * 32, "gs://bucket/other.mp3", 60.0, None)


@pytest.mark.parametrize(
    "address",
    [
        "./my%20talk.wav",
        "file:///C:/Users/a/my%20talk.wav",
        "C:\\Users\\a\\my talk.wav",
        "/data/upload/1/3b7e91aa-my%20talk.wav",
        "/data/local-files/?d=shows/my%20talk.wav",
        "https://host/files/my%20talk.wav?token=1#t=2",
    ],
)
def test_by_the_name_of_the_audio(address):
    assert found([TALK, OTHER], Sheet((address,), ()), Path("project-1.json")) == TALK


def test_by_the_name_of_the_file():
    assert found([TALK, OTHER], Sheet((), ()), Path("/x/my talk.TextGrid")) == TALK
    assert found([TALK, OTHER], Sheet(("gone.wav",), ()), Path("other.eaf")) == OTHER


def test_by_its_mark_before_all_else():
    sheet = Sheet(("other.mp3",), (), mark=Mark("b" * 12, 3))
    assert found([TALK, SAME, OTHER], sheet, Path("my talk.eaf")) == SAME


def test_of_two_of_one_name_by_the_whole_path():
    sheet = Sheet(("../else/my%20talk.wav", "file:///else/my%20talk.wav"), ())
    assert found([TALK, SAME], sheet, Path("x.eaf")) == SAME
    with pytest.raises(UserError, match="2 recordings fit, /audio/my talk.wav first"):
        found([TALK, SAME], Sheet(("my%20talk.wav",), ()), Path("x.eaf"))


def test_no_other_is_taken_for_it():
    for file in ("talk.eaf", "my.eaf", f"x-{'d' * 12}-3.eaf"):
        with pytest.raises(UserError, match=f"no recording of the corpus goes by {file}"):
            found([TALK, OTHER], Sheet((), (), mark=Mark.found(Path(file).stem)), Path(file))


@pytest.mark.parametrize("name", ["a" * 32, "/audio/my talk.wav", "my talk.wav"])
def test_a_recording_by_id_path_or_name(name):
    assert named([TALK, OTHER], name) == TALK


@pytest.mark.parametrize(
    "name", ["talk-aaaaaaaaaaaa-17", "talk-aaaaaaaaaaaa-17 (1)", "talk-aaaaaaaaaaaa-17_edited"]
)
def test_a_mark_survives_what_file_managers_do(name):
    assert Mark.found(name) == Mark("a" * 12, 17)
    assert Mark.found("talk-2026-03-01") is None
