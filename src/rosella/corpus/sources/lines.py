"""Sources that name a recording on every line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rosella.corpus.sources.entries import Entry, Problems
from rosella.errors import UserError

MAX_LINE_BYTES = 16 << 20


def entries_by_line(path: Path, read: Callable[[str, str], Entry]) -> list[Entry]:
    """What `read` makes of each line and of where it stands; every bad or repeated line is named."""
    problems, seen = Problems(path), {}

    def read_once(line: str, where: str) -> Entry:
        entry = read(line, where)
        before, seen[entry.place] = seen.get(entry.place), where
        if before:
            raise UserError(f"{entry.audio.name} is already in {before}")
        return entry

    return problems.entries(lines_of(path, problems), read_once)


def lines_of(path: Path, problems: Problems) -> Iterator[tuple[str, str]]:
    """Lines and where they stand (`line 1`), blank ones left out; those that are no text become problems."""
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
                yield f"line {number}", line


def parse_json(line: str) -> Any:
    """JSON without the NaN and Infinity that Python would let pass."""

    def refuse(name: str) -> None:
        raise UserError(f"it holds {name}, which is not JSON")

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is not valid JSON ({error})") from None
