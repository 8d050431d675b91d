from __future__ import annotations

import json
from pathlib import Path

import pytest

from rosella.errors import UserError
from rosella.evaluate.sentences import VoiceClip, read_sentences


def manifest(folder: Path, *lines: object) -> Path:
    (folder / "a.wav").touch()
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_full_line_and_a_minimal_line(tmp_path: Path) -> None:
    voice = {"audio": "a.wav", "start": 1, "end": 2.5, "text": "[S1] hallo"}
    full = {
        "audio": "a.wav",
        "speaker": "anna",
        "language": "nl",
        "text": "[S1] ja",
        "voice": voice,
        "note": 1,
    }
    path = manifest(tmp_path, full, "", {"audio": "a.wav", "text": "nee", "speak": False})
    anna, other = read_sentences(path)
    assert anna.voice == VoiceClip(tmp_path / "a.wav", "[S1] hallo", 1.0, 2.5)
    assert (anna.group, anna.speak, anna.text) == ("anna/nl", True, "[S1] ja")
    assert (other.group, other.speak, other.voice) == ("/", False, None)
    assert anna.id != other.id


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", "Expecting"),
        ({"audio": "a.wav"}, "'text' is missing"),
        ({"audio": "b.wav", "text": "ja"}, "does not exist"),
        ({"audio": "a.wav", "text": "[S9] ja"}, "S9"),
        (
            {"audio": "a.wav", "text": "ja", "voice": {"audio": "a.wav", "text": "x", "start": 3, "end": 2}},
            "end",
        ),
        ([1], "list"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, reason: str) -> None:
    path = manifest(tmp_path, {"audio": "a.wav", "text": "ja"}, line)
    with pytest.raises(UserError, match=f"line 2: .*{reason}"):
        read_sentences(path)


def test_a_missing_or_mute_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.jsonl"):
        read_sentences(tmp_path / "no.jsonl")
    with pytest.raises(UserError, match="no sentence to speak"):
        read_sentences(manifest(tmp_path, {"audio": "a.wav", "text": "ja", "speak": False}))
