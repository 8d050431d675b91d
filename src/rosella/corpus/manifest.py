"""Paired data brought by the user: JSON Lines manifests, and `read_source`, the one door to every format.

A source is validated whole before anything is added. What is wrong with it is listed by line number.
"""

from __future__ import annotations

import glob
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rosella import dialogue
from rosella.audio import is_url
from rosella.errors import UserError
from rosella.records import Turn, check_turns

SHOWN_PROBLEMS = 5
MAX_LINE_BYTES = 16 << 20
MANIFEST_NAME = "manifest.jsonl"
UNNAMED = "unknown"
"""Who speaks where neither the source nor a folder says."""

AUDIO_SUFFIXES = frozenset(
    [
        ".aac",
        ".ac3",
        ".aif",
        ".aifc",
        ".aiff",
        ".amr",
        ".ape",
        ".asf",
        ".au",
        ".avi",
        ".caf",
        ".eac3",
        ".flac",
        ".flv",
        ".m4a",
        ".m4b",
        ".m4v",
        ".mka",
        ".mkv",
        ".mov",
        ".mp2",
        ".mp3",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".oga",
        ".ogg",
        ".opus",
        ".ts",
        ".tta",
        ".w64",
        ".wav",
        ".wave",
        ".webm",
        ".wma",
        ".wv",
    ]
)


@dataclass(frozen=True)
class Entry:
    """A recording as a source names it, before its audio has been looked at.

    `where` says where it stands (`line 3`). Without turns it has no transcript yet; untimed text is one turn that
    ends at infinity. Audio inside a data set has no path of its own: `embedded` returns its bytes and `audio` is
    the name it goes by, as it is for audio at a `url`.
    """

    audio: Path
    turns: tuple[Turn, ...]
    where: str
    show: str | None = None
    source_url: str | None = None
    language: str | None = None
    licence: str | None = None
    consent: str | None = None
    embedded: Callable[[], bytes] | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """Where the audio is: its URL, or its path."""
        return self.url or str(self.audio)


class _TurnLine(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    start: float
    end: float
    speaker: str = Field(min_length=1)
    text: str
    text_clean: str | None = None


class _RecordingLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    audio: str = Field(min_length=1)
    turns: list[_TurnLine] | None = None
    text: str | None = None
    text_clean: str | None = None
    speaker: str | None = None
    show: str | None = None
    source_url: str | None = None
    language: str | None = None
    licence: str | None = None
    consent: str | None = None


class Problems:
    """What is wrong with a source, collected so that one message names all bad lines."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, where: str, problem: object) -> None:
        self.found.append(f"{where}: {str(problem).rstrip('.')}")

    def refuse(self) -> None:
        """Raise a UserError that lists the first problems, if there are any."""
        if self.found:
            more = len(self.found) - SHOWN_PROBLEMS
            rest = f"; and {more} more, which --debug lists" if more > 0 else ""
            listed = "; ".join(self.found[:SHOWN_PROBLEMS])
            raise UserError(
                f"Nothing was added, {self.source} has bad entries: {listed}{rest}. Correct and add it again.",
                self.found,
            )


def read_source(path: str | Path, other: Callable[[str], None] = lambda path: None) -> list[Entry]:
    """Read a manifest, a data set directory, audio with or without subtitles; a folder, glob, list or URL of it.

    In folders and globs what is named like audio is taken; `other` hears of the files that are not.
    """
    from rosella.corpus.sources import places

    name = str(path)
    if name.startswith("file://"):
        name = name.removeprefix("file://")
    if is_url(name):
        return places.read_url(name)
    path = Path(name)
    if not (name and _exists(path)):
        if glob.has_magic(name):
            return places.read_glob(name, other)
        raise UserError(
            f"{name!r} does not exist: name a manifest, a list, a folder of data or an audio file."
        )
    return _read_folder(path, other) if path.is_dir() else _read_file(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)[:80]!r} cannot be a path ({error}): check it.") from None


def _read_folder(path: Path, other: Callable[[str], None]) -> list[Entry]:
    from rosella.corpus.sources import huggingface, subtitles, tables

    if (path / MANIFEST_NAME).is_file():
        return read_manifest(path / MANIFEST_NAME)
    for name in ("metadata.csv", "metadata.jsonl"):
        if (path / name).is_file():
            return tables.read(path / name)
    if huggingface.recognises(path):
        return huggingface.read(path)
    return subtitles.read_folder(path, other)


def _read_file(path: Path) -> list[Entry]:
    from rosella.corpus.sources import places, subtitles, tables

    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): replace the file.")
    if path.name in ("metadata.csv", "metadata.jsonl"):
        return tables.read(path)
    if path.suffix.lower() in (".jsonl", ".json"):
        return read_manifest(path)
    if path.suffix.lower() in places.LIST_SUFFIXES:
        return places.read_list(path)
    return subtitles.read_file(path)


def read_manifest(path: Path) -> list[Entry]:
    """A JSON Lines manifest: one recording a line, audio paths relative to the manifest."""
    return entries_by_line(path, lambda line, where: _entry(_parse(line), path.parent, where))


def entries_by_line(path: Path, read: Callable[[str, str], Entry]) -> list[Entry]:
    """What `read` makes of each line and of where it stands; every bad or repeated line is named."""
    problems, entries, seen = Problems(path), [], {}
    for number, line in numbered_lines(path, problems):
        where = f"line {number}"
        try:
            entry = read(line, where)
        except UserError as error:
            problems.add(where, error)
            continue
        if entry.place in seen:
            problems.add(where, f"{entry.audio.name} is already in {seen[entry.place]}")
        seen[entry.place] = where
        entries.append(entry)
    return finished(path, entries, problems)


def numbered_lines(path: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, blank ones left out; those that are no text become problems."""
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(raw) > MAX_LINE_BYTES:
                problems.add(f"line {number}", f"it is longer than {MAX_LINE_BYTES >> 20} MB")
                return
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                problems.add(f"line {number}", "it is not UTF-8 text")
                continue
            if line:
                yield number, line


def finished(path: Path, entries: list[Entry], problems: Problems) -> list[Entry]:
    """The entries, or a UserError when something is wrong with the source or it holds none."""
    problems.refuse()
    if not entries:
        raise UserError(f"{path} lists no recordings: add some and try again.")
    return entries


def parse_json(line: str) -> Any:
    """JSON without the NaN and Infinity that Python would let pass."""

    def refuse(name: str) -> None:
        raise UserError(f"it holds {name}, which is not JSON")

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is not valid JSON ({error})") from None


def _parse(line: str) -> _RecordingLine:
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


def _entry(line: _RecordingLine, folder: Path, where: str) -> Entry:
    from rosella.corpus.sources.places import entry_at

    entry = entry_at(line.audio, folder, where)
    facts = line.model_dump(include={"show", "source_url", "language", "licence", "consent"})
    return replace(entry, turns=_turns(line, folder_name(Path(entry.place).parent)), **facts)


def _turns(line: _RecordingLine, speaker: str) -> tuple[Turn, ...]:
    if line.turns is not None and line.text is not None:
        raise UserError('it has both "turns" and "text": give one of them')
    if line.text is not None:
        return (untimed(line.text, line.text_clean, line.speaker or speaker),)
    if line.text_clean or line.speaker:
        raise UserError('"text_clean" and "speaker" belong inside the turns')
    return () if line.turns is None else checked([Turn(**turn.model_dump()) for turn in line.turns])


def folder_name(folder: Path) -> str:
    """The one speaker of what lies in a folder, where nobody is named; the same from wherever it is looked at."""
    return folder.resolve().name or UNNAMED


def audio_path(name: str, folder: Path) -> Path:
    """The local file a source names, relative to `folder`; refused where it is a URL or does not exist."""
    if "\0" in name:
        raise UserError("the audio path holds a NUL character")
    if is_url(name):
        raise UserError(f"{name} is a URL: download it and give the local path")
    path = folder / name
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise UserError(f"the audio path cannot be used ({error.strerror})") from None
    raise UserError(f"the audio file {name} does not exist")


def checked(turns: Sequence[Turn], tagged: bool = False) -> tuple[Turn, ...]:
    """Turns with normalised texts; a UserError for texts or times that no utterance can be cut from.

    A turn may be a dialogue of several where they are `tagged`.
    """
    if not turns:
        raise UserError("it has no turns")
    check_turns(turns)
    return tuple(_checked_text(number, turn, tagged) for number, turn in enumerate(turns, 1))


def _checked_text(number: int, turn: Turn, tagged: bool) -> Turn:
    try:
        spoken = dialogue.normalise(turn.text).strip()
        clean = dialogue.normalise(turn.text_clean).strip() if turn.text_clean else turn.text_clean
    except UserError as error:
        raise UserError(f"turn {number}: {error}") from None
    if not tagged and dialogue.speaker_tags(f"{spoken} {clean or ''}"):
        raise UserError(f"turn {number}: the text holds a speaker tag; name the speaker in its own field")
    return replace(turn, text=spoken, text_clean=clean)


def untimed(spoken: str, clean: str | None, speaker: str) -> Turn:
    """Text for a whole recording. It may be a dialogue: `[S1] … [S2] …`."""
    normalised = dialogue.normalise(spoken).strip()
    return Turn(0.0, math.inf, speaker, normalised, dialogue.normalise(clean).strip() if clean else None)
