"""Files that name a recording on every line: JSON Lines manifests with transcripts, and plain lists of audio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rosella.corpus.sources.entries import Entry, entry_at, folder_name, normalise_turns, untimed_turn
from rosella.corpus.sources.lines import entries_by_line, parse_json
from rosella.errors import UserError
from rosella.records import FACTS, Turn

NAME = "manifest.jsonl"
LIST_SUFFIXES = (".txt", ".lst")


class _TurnLine(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    start: float
    end: float
    speaker: str = Field(min_length=1)
    text: str
    text_clean: str | None = None


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    audio: str = Field(min_length=1)
    turns: list[_TurnLine] | None = None
    text: str | None = None
    text_clean: str | None = None
    speaker: str | None = None


_FACTS: dict[str, Any] = dict.fromkeys(FACTS, (str | None, None))
_RecordingLine = create_model("_RecordingLine", __base__=_Line, **_FACTS)


def read(path: Path) -> list[Entry]:
    """A JSON Lines manifest: one recording a line, audio paths relative to the manifest."""
    return entries_by_line(path, lambda line, where: _entry(_parse(line), path.parent, where))


def read_list(path: Path) -> list[Entry]:
    """One path or URL a line, relative to the list."""
    return entries_by_line(path, lambda line, where: entry_at(line, path.parent, where))


def _parse(line: str) -> _Line:
    values = parse_json(line)
    if not isinstance(values, dict):
        raise UserError('it is not an object such as {"audio": "a.wav", "turns": [...]}')
    try:
        return _RecordingLine.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(f"the key {key} is unknown") from None
        raise UserError(f"{key}: {first['msg'].lower()}") from None


def _entry(line: _Line, folder: Path, where: str) -> Entry:
    entry = entry_at(line.audio, folder, where)
    facts = line.model_dump(include=set(FACTS))
    return replace(entry, turns=_turns(line, folder_name(Path(entry.place).parent)), **facts)


def _turns(line: _Line, speaker: str) -> tuple[Turn, ...]:
    if line.turns is not None and line.text is not None:
        raise UserError('it has both "turns" and "text": give one of them')
    if line.text is not None:
        return (untimed_turn(line.text, line.text_clean, line.speaker or speaker),)
    if line.text_clean or line.speaker:
        raise UserError('"text_clean" and "speaker" belong inside the turns')
    return () if line.turns is None else normalise_turns([Turn(**turn.model_dump()) for turn in line.turns])
