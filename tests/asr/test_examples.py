from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rosella.asr.examples import EXAMPLES, REPORT, Example, read_examples, write_examples
from rosella.errors import UserError


@pytest.fixture
def example(tmp_path):
    return Example(
        id="a-0-2",
        audio=tmp_path / "set" / "audio" / "a.flac",
        start=0.0,
        end=2.5,
        text="[S1] eh ja [S2] né (laughs)",
        text_clean="[S1] ja [S2] né",
        speakers=("anna", "ben"),
        language="nl",
        split="train",
    )


def test_what_is_written_is_read(tmp_path, example):
    other = replace(example, id="b", text_clean=None, language=None, split="test")
    write_examples(tmp_path / "set", [example, other], {"rules": ["één"]})
    assert read_examples(tmp_path / "set") == [example, other]
    assert read_examples(tmp_path / "set", "test") == [other]
    assert example.seconds == 2.5
    assert json.loads((tmp_path / "set" / REPORT).read_text()) == {"rules": ["één"]}


def test_audio_inside_moves_along_and_audio_outside_stays(tmp_path, example):
    outside = replace(example, audio=tmp_path / "elsewhere.wav")
    write_examples(tmp_path / "set", [example, outside], {})
    (tmp_path / "set").rename(tmp_path / "moved")
    inside, stayed = read_examples(tmp_path / "moved")
    assert inside.audio == tmp_path / "moved" / "audio" / "a.flac"
    assert stayed.audio == tmp_path / "elsewhere.wav"


def test_a_failed_writing_leaves_the_old_examples(tmp_path, example):
    write_examples(tmp_path / "set", [example], {})

    def broken():
        yield example
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_examples(tmp_path / "set", broken(), {})
    assert read_examples(tmp_path / "set") == [example]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "line 1: the split 'dev' is unknown"),
        ({"end": 0.0}, "holds no audio"),
        ({"end": float("nan")}, "holds no audio"),
    ],
)
def test_a_wrong_example_is_named_by_its_line(tmp_path, example, change, message):
    write_examples(tmp_path / "set", [replace(example, **change)], {})
    with pytest.raises(UserError, match=message):
        read_examples(tmp_path / "set")


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path, example):
    with pytest.raises(UserError, match="make it with `rosella asr prepare"):
        read_examples(tmp_path)
    write_examples(tmp_path, [example], {})
    path = Path(tmp_path / EXAMPLES)
    path.write_text(path.read_text() + '{"id": "cut o')
    with pytest.raises(UserError, match="line 2 is no example"):
        read_examples(tmp_path)
