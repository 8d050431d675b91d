"""Sentences a model is tested on: what to say, in whose voice, and how a person (or a synthesiser) said it.

The manifest is JSON Lines, one reference recording a line; paths are relative to the manifest:

    {"audio": "nl-anna-01.opus", "speaker": "anna", "language": "nl", "text": "[S1] Goedemorgen, eh.",
     "voice": {"audio": "../tafel.opus", "start": 3.2, "end": 7.9, "text": "[S1] Welkom allemaal."},
     "speak": true}

- `audio`, `text`: required. The recording holds exactly that text, spoken by `speaker`; no model was trained
  on it.
- `speaker`: who speaks (default: one unnamed speaker). References of one speaker and language compete in
  sentence retrieval, so give each speaker at least ten lines: with two, guessing already finds half.
- `voice`: the clip that shows a model the speaker's voice, a span in seconds of any recording with its
  transcript. `start` defaults to 0 and `end` to the end of the file. Without a voice the model speaks in one
  of its own.
- `speak`: false marks a recording that only competes in retrieval; the model is not asked to say it
  (default true).

Unknown keys are ignored, so a manifest may carry more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosella import dialogue
from rosella.errors import UserError


@dataclass(frozen=True)
class VoiceClip:
    """A span of a recording, in seconds (`end` None: up to its end), and what is said in it."""

    audio: Path
    text: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Sentence:
    """One line of the manifest. `id` is unique in it and fit for a file name."""

    id: str
    text: str
    audio: Path
    speaker: str = ""
    language: str = ""
    voice: VoiceClip | None = None
    speak: bool = True

    @property
    def group(self) -> str:
        """The references this sentence competes with in retrieval share it."""
        return f"{self.speaker}/{self.language}"


def read_sentences(manifest: str | Path) -> list[Sentence]:
    """All lines of a manifest (format above); UserError naming the line that cannot be used."""
    path = Path(manifest)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a UTF-8 manifest of sentences ({error}).") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    sentences = [_parse(line, number, path) for number, line in numbered]
    if not any(sentence.speak for sentence in sentences):
        raise UserError(f'{path} holds no sentence to speak: add a line such as {{"audio": …, "text": …}}.')
    return sentences


def _parse(line: str, number: int, manifest: Path) -> Sentence:
    try:
        return _sentence(json.loads(line), number, manifest.parent)
    except (ValueError, KeyError, TypeError, UserError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{manifest}, line {number}: {reason}") from error


def _sentence(values: Mapping[str, Any], number: int, folder: Path) -> Sentence:
    audio = _existing(folder / values["audio"])
    return Sentence(
        id=f"{number:03d}-{audio.stem}",
        text=dialogue.normalise(values["text"]),
        audio=audio,
        speaker=str(values.get("speaker") or ""),
        language=str(values.get("language") or ""),
        voice=_voice(values["voice"], folder) if values.get("voice") else None,
        speak=bool(values.get("speak", True)),
    )


def _voice(values: Mapping[str, Any], folder: Path) -> VoiceClip:
    start, end = float(values.get("start") or 0.0), values.get("end")
    end = None if end is None else float(end)
    if not 0 <= start < (math.inf if end is None else end):
        raise ValueError(f"the voice runs from {start} to {end} s; its end must follow its start.")
    return VoiceClip(_existing(folder / values["audio"]), dialogue.normalise(values["text"]), start, end)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} does not exist.")
    return path
