from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from corpus.fakes import save_manifest, save_tone, turn
from rosella.corpus.sources.entries import folder_name
from rosella.corpus.sources.read import read_source
from rosella.errors import UserError


@pytest.fixture
def folder(tmp_path):
    save_tone(tmp_path / "audio" / "a.wav", 5.0)
    save_tone(tmp_path / "b.wav", 5.0, seed=1)
    return tmp_path


def good(**more):
    return {"audio": "audio/a.wav", "turns": [turn(0, 2), turn(2, 3, "ben")], **more}


def test_a_manifest_becomes_entries(folder):
    facts = {"show": "s", "language": "nl", "licence": "CC0", "consent": "yes", "source_url": "https://x"}
    save_manifest(
        folder / "manifest.jsonl", [good(**facts), {"audio": "b.wav", "text": "hoi", "speaker": "eva"}]
    )
    first, second = read_source(folder)
    assert first.audio == folder / "audio" / "a.wav"
    assert [t.speaker for t in first.turns] == ["anna", "ben"]
    assert {name: getattr(first, name) for name in facts} == facts
    assert (second.turns[0].text, second.turns[0].speaker, second.turns[0].end) == ("hoi", "eva", math.inf)
    assert read_source(folder / "manifest.jsonl") == [first, second]


def test_the_folder_names_the_speaker_from_wherever_it_is_looked_at(folder, monkeypatch):
    save_manifest(folder / "m.jsonl", [{"audio": "b.wav", "text": "hoi"}])
    found = [read_source(folder / "m.jsonl")]
    monkeypatch.chdir(folder)
    (folder / "link").symlink_to(".")
    found += [read_source("m.jsonl"), read_source("./link/m.jsonl"), read_source(folder / "audio/../m.jsonl")]
    assert {entry.turns[0].speaker for entries in found for entry in entries} == {folder.resolve().name}
    assert folder_name(Path("/")) == "unknown"


def test_byte_order_mark_blank_lines_and_composed_letters(folder):
    lines = ["", json.dumps(good(turns=[turn(0, 1, text="e\u0301e\u0301n")])), ""]
    (folder / "m.jsonl").write_text("\n".join(lines), encoding="utf-8-sig")
    (entry,) = read_source(folder / "m.jsonl")
    assert entry.turns[0].text == "één"
    assert entry.where == "line 2"


NESTED = "[" * 100_000
BAD_LINES = [
    ("{oops", "not valid JSON"),
    ("[1, 2]", "not an object"),
    (NESTED, "not valid JSON"),
    (
        '{"audio": "b.wav", "turns": [{"start": NaN, "end": 1, "speaker": "a", "text": "b"}]}',
        "NaN, which is not JSON",
    ),
    ({"turns": [turn(0, 1)]}, "audio: field required"),
    ({"audio": "b.wav", "turns": []}, "no turns"),
    ({"audio": "b.wav", "turns": [turn(0, 1)], "text": "hoi"}, 'both "turns" and "text"'),
    ({"audio": "b.wav", "speaker": "anna"}, "belong inside the turns"),
    ({"audio": "b.wav", "turns": [turn(0, 1)], "licens": "CC0"}, "the key licens is unknown"),
    ({"audio": "b.wav", "turns": [turn(0, "x")]}, r"turns\.1\.end"),
    (
        {"audio": "b.wav", "turns": [{"start": 0, "end": 1, "text": "hoi"}]},
        r"turns\.1\.speaker: field required",
    ),
    ({"audio": "absent.wav", "turns": [turn(0, 1)]}, "absent.wav does not exist"),
    ({"audio": "audio", "turns": [turn(0, 1)]}, "audio does not exist"),
    ({"audio": "https://x/a.mp3", "turns": [turn(0, 1)]}, "is a web address: download it"),
    ({"audio": "zip://x::memory://y", "text": "hoi"}, "names no storage that can be read"),
    ({"audio": "s3://key:secret@bucket/x.mp3", "text": "hoi"}, "holds a password"),
    ({"audio": "a\0.wav", "turns": [turn(0, 1)]}, "NUL character"),
    ({"audio": "x" * 300, "turns": [turn(0, 1)]}, "does not exist|cannot be used"),
    ({"audio": "b.wav", "turns": [turn(0, 2), turn(1, 3)]}, "Turn 2 overlaps turn 1"),
    ({"audio": "b.wav", "turns": [turn(3, 2)]}, "Turn 1 runs backwards"),
    ({"audio": "b.wav", "turns": [turn(2, 3), turn(0, 1)]}, "before turn 1"),
    (
        {"audio": "b.wav", "turns": [turn(0, 1, text="[S5] hoi")]},
        r"turn 1: The speaker tag \[S5\] is unknown",
    ),
    ({"audio": "b.wav", "turns": [turn(0, 1, text="[S2] hoi")]}, "turn 1: the text holds a speaker tag"),
    (
        {"audio": "b.wav", "turns": [turn(0, 1, text="a\x01b")]},
        r"turn 1: The text holds a control character \(U\+0001",
    ),
    ({"audio": "b.wav", "turns": [turn(0, 1, text="a\x00b")]}, r"control character \(U\+0000"),
    ({"audio": "b.wav", "turns": [turn(0, 1, text=" ")]}, "turn 1: The text is empty"),
    ({"audio": "b.wav", "turns": [turn(0, 1, text_clean="<pad>")]}, "turn 1: The text holds a literal <pad>"),
    ({"audio": "b.wav", "text": "[S9] hoi"}, r"tag \[S9\] is unknown"),
    ({"audio": "b.wav", "text": ""}, "text is empty"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_is_named_by_its_number(folder, line, reason):
    save_manifest(folder / "m.jsonl", [good(), line])
    with pytest.raises(UserError, match=f"line 2: .*(?:{reason})") as error:
        read_source(folder / "m.jsonl")
    assert "\n" not in str(error.value)
    assert "Nothing was added" in str(error.value)


def test_all_bad_lines_are_listed_at_once(folder):
    save_manifest(folder / "m.jsonl", ["{", good(), *["{"] * 7])
    with pytest.raises(UserError, match=r"line 1: .*line 3: .*line 4: .*and 3 more") as error:
        read_source(folder / "m.jsonl")
    assert [detail.split(":")[0] for detail in error.value.details] == [
        f"line {n}" for n in (1, 3, 4, 5, 6, 7, 8, 9)
    ]


def test_text_that_is_not_utf8_is_named_by_its_line(folder):
    (folder / "m.jsonl").write_bytes(json.dumps(good()).encode() + b'\n{"audio": "\xff"}\n')
    with pytest.raises(UserError, match="line 2: it is not UTF-8"):
        read_source(folder / "m.jsonl")


def test_one_audio_file_twice_is_refused(folder):
    save_manifest(folder / "m.jsonl", [good(), good()])
    with pytest.raises(UserError, match=r"line 2: a\.wav is already in line 1"):
        read_source(folder / "m.jsonl")


def test_an_endless_line_does_not_fill_memory(folder, monkeypatch):
    monkeypatch.setattr("rosella.corpus.sources.lines.MAX_LINE_BYTES", 1000)
    save_manifest(folder / "m.jsonl", [good(), "x" * 5000])
    with pytest.raises(UserError, match="line 2: it is longer than"):
        read_source(folder / "m.jsonl")


@pytest.mark.parametrize(
    ("content", "reason"), [("", r"is empty \(0 bytes\)"), ("\n\n", "lists no recordings")]
)
def test_an_empty_manifest_is_refused(tmp_path, content, reason):
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(UserError, match=reason):
        read_source(tmp_path / "m.jsonl")


def test_missing_sources_and_folders_without_data(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_source(tmp_path / "absent")
    with pytest.raises(UserError, match=r"neither a manifest\.jsonl"):
        read_source(tmp_path)


def test_recordings_without_words_and_at_urls(folder):
    save_manifest(folder / "m.jsonl", [{"audio": "b.wav", "show": "s"}, {"audio": "gs://bucket/deep/x.mp3"}])
    local, remote = read_source(folder / "m.jsonl")
    assert (local.place, local.turns, local.show) == (str(folder / "b.wav"), (), "s")
    assert (remote.place, remote.turns) == ("gs://bucket/deep/x.mp3", ())
