"""Tables of clips: LJSpeech's `metadata.csv` (id|text|clean), Hugging Face's audiofolder (file_name,text)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rosella.corpus.sources.entries import Entry, Problems, audio_path, folder_name, untimed_turn
from rosella.corpus.sources.lines import lines_of, parse_json
from rosella.errors import UserError

TEXT_COLUMNS = ("text", "sentence", "transcription", "transcript")
_LJSPEECH_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def read(path: Path) -> list[Entry]:
    """Read `metadata.csv` or `metadata.jsonl`; what stands in the file tells which format it is."""
    problems = Problems(path)
    if path.suffix == ".jsonl":
        return problems.entries(lines_of(path, problems), lambda line, where: _named(_row(line), path, where))
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    if "file_name" in header:
        return problems.entries(_csv_rows(path, problems), lambda row, where: _named(row, path, where))
    return problems.entries(lines_of(path, problems), lambda line, where: _ljspeech(line, path.parent, where))


def _ljspeech(line: str, folder: Path, where: str) -> Entry:
    """`id|text[|normalised text]` with audio in `wavs/`; one speaker, named after the folder."""
    parts = line.split("|")
    if len(parts) not in (2, 3):
        raise UserError(f"it has {len(parts)} fields, not id|text or id|text|clean")
    name, spoken, clean = (*parts, "")[:3]
    return Entry(_ljspeech_audio(name, folder), (untimed_turn(spoken, clean, folder_name(folder)),), where)


def _ljspeech_audio(name: str, folder: Path) -> Path:
    if Path(name).suffix.lower() in _LJSPEECH_SUFFIXES:
        return audio_path(name, folder)
    for suffix in _LJSPEECH_SUFFIXES:
        for candidate in (f"wavs/{name}{suffix}", f"{name}{suffix}"):
            if (folder / candidate).is_file():
                return folder / candidate
    raise UserError(f"the audio file wavs/{name}.wav does not exist")


def _row(line: str) -> Mapping[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise UserError("it is not an object")
    return row


def _csv_rows(path: Path, problems: Problems) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = dict(lines_of(path, problems))
    reader = csv.DictReader(f"{line}\n" for line in lines.values())
    places = list(lines)
    for row in reader:
        yield places[min(reader.line_num, len(places)) - 1], row


def _named(row: Mapping[str, Any], path: Path, where: str) -> Entry:
    """The entry of a row of an audiofolder."""
    return clip(audio_path(required(row, ("file_name",)), path.parent), row, where, folder_name(path.parent))


def required(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of `names` that the row holds as text."""
    for name in names:
        if isinstance(row.get(name), str) and row[name].strip():
            return row[name]
    raise UserError(f"it has no {' or '.join(names)}")


def clip(audio: Path, row: Mapping[str, Any], where: str, speaker: str) -> Entry:
    """The entry of one row; of `speaker` (or `speaker_id`), `show`, `language`, `licence` what there is."""
    named = row.get("speaker") if row.get("speaker") is not None else row.get("speaker_id")
    turn = untimed_turn(required(row, TEXT_COLUMNS), None, speaker if named in (None, "") else str(named))
    show, language, licence = (str(row[n]) if row.get(n) else None for n in ("show", "language", "licence"))
    return Entry(audio, (turn,), where, show=show, language=language, licence=licence)
