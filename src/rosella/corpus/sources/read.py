"""The one door to every format that recordings can be brought in."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

from rosella.audio import is_url
from rosella.corpus.sources import huggingface, manifest, places, tables
from rosella.corpus.sources.entries import Entry
from rosella.errors import UserError


def read_source(path: str | Path, other: Callable[[str], None] = lambda path: None) -> list[Entry]:
    """Read a manifest, a data set directory, audio with or without subtitles; a folder, glob, list or URL of it.

    In folders and globs what is named like audio is taken; `other` hears of the files that are not.
    """
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
    if (path / manifest.NAME).is_file():
        return manifest.read(path / manifest.NAME)
    for name in ("metadata.csv", "metadata.jsonl"):
        if (path / name).is_file():
            return tables.read(path / name)
    if huggingface.recognises(path):
        return huggingface.read(path)
    return places.read_folder(path, other)


def _read_file(path: Path) -> list[Entry]:
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): replace the file.")
    if path.name in ("metadata.csv", "metadata.jsonl"):
        return tables.read(path)
    if path.suffix.lower() in (".jsonl", ".json"):
        return manifest.read(path)
    if path.suffix.lower() in manifest.LIST_SUFFIXES:
        return manifest.read_list(path)
    return places.read_file(path)
