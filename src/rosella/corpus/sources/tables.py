"""Tables of clips: LJSpeech's `metadata.csv` (id|text|clean), Hugging Face's audiofolder (file_name,text)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rosella.corpus.sources.entries import Entry, Problems, audio_path, folder_name, untimed_turn
from rosella.corpus.sources.lines import numbered_lines, parse_json
from rosella.errors import UserError

TEXT_COLUMNS = ("text", "sentence", "transcription", "transcript")
_LJSPEECH_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def read(path: Path) -> list[Entry]:
    """Read `metadata.csv` or `metadata.jsonl`; what stands in the file tells which format it is."""
    problems = Problems(path)
    if path.suffix == ".jsonl":
        rows: Iterator[tuple[int, Mapping[str, Any]]] = _json_rows(path, problems)
        return _audiofolder(path, rows, problems)
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    if "file_name" in header:
        return _audiofolder(path, _csv_rows(path, problems), problems)
    return _ljspeech(path, problems)


def _ljspeech(path: Path, problems: Problems) -> list[Entry]:
    """`id|text[|normalised text]` with audio in `wavs/`; one speaker, named after the folder."""
    entries = []
    for number, line in numbered_lines(path, problems):
        where = f"line {number}"
        parts = line.split("|")
        if len(parts) not in (2, 3):
            problems.add(where, f"it has {len(parts)} fields, not id|text or id|text|clean")
            continue
        try:
            audio = _ljspeech_audio(parts[0], path.parent)
            turn = untimed_turn(parts[1], parts[2] if len(parts) == 3 else None, folder_name(path.parent))
        except UserError as error:
            problems.add(where, error)
            continue
        entries.append(Entry(audio, (turn,), where))
    return problems.accept(entries)


def _ljspeech_audio(name: str, folder: Path) -> Path:
    if Path(name).suffix.lower() in _LJSPEECH_SUFFIXES:
        return audio_path(name, folder)
    for suffix in _LJSPEECH_SUFFIXES:
        for candidate in (f"wavs/{name}{suffix}", f"{name}{suffix}"):
            if (folder / candidate).is_file():
                return folder / candidate
    raise UserError(f"the audio file wavs/{name}.wav does not exist")


def _json_rows(path: Path, problems: Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in numbered_lines(path, problems):
        try:
            row = parse_json(line)
        except UserError as error:
            problems.add(f"line {number}", error)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(f"line {number}", "it is not an object")


def _csv_rows(path: Path, problems: Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = dict(numbered_lines(path, problems))
    reader = csv.DictReader(f"{line}\n" for line in lines.values())
    numbers = list(lines)
    for row in reader:
        yield numbers[min(reader.line_num, len(numbers)) - 1], row


def _audiofolder(
    path: Path, rows: Iterator[tuple[int, Mapping[str, Any]]], problems: Problems
) -> list[Entry]:
    entries = []
    for number, row in rows:
        where = f"line {number}"
        try:
            audio = audio_path(required(row, ("file_name",)), path.parent)
            entries.append(clip(audio, row, where, folder_name(path.parent)))
        except UserError as error:
            problems.add(where, error)
    return problems.accept(entries)


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
