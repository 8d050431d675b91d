"""Audio by its place: folders, globs, plain lists, and prefixes of anything fsspec knows (`gs://`, `s3://`)."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec

from rosella import audio
from rosella.corpus.manifest import (
    AUDIO_SUFFIXES,
    MANIFEST_NAME,
    Entry,
    audio_path,
    entries_by_line,
)
from rosella.errors import UserError

LIST_SUFFIXES = (".txt", ".lst")
_MAGIC = "*?["
_TRANSCRIPTS = (".srt", ".vtt", ".jsonl")


def checked_url(url: str) -> str:
    """The URL, unless it leads to a web page or through another URL, or carries a password."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ftp"):
        raise UserError(f"{url} is a web address: download it and give the local path")
    if "::" in url or parts.scheme not in fsspec.available_protocols():
        raise UserError(f"{url} names no storage that can be read: use gs://, s3:// or a local path")
    if parts.password:
        raise UserError("The address holds a password: put credentials into the environment or .env")
    return url


def entry_at(place: str, folder: Path, where: str) -> Entry:
    """An entry without turns for the audio at a URL, or at a path relative to `folder`."""
    if audio.is_url(place):
        return Entry(Path(PurePosixPath(place).name), (), where, url=checked_url(place))
    return Entry(audio_path(place, folder), (), where)


def read_list(path: Path) -> list[Entry]:
    """One path or URL a line, relative to the list."""
    return entries_by_line(path, lambda line, where: entry_at(line, path.parent, where))


def read_glob(pattern: str, other: Callable[[str], None]) -> list[Entry]:
    """The audio files that match; with subtitles beside them, their turns. `other` hears of the rest."""
    from rosella.corpus.sources import subtitles

    found = (Path(name) for name in sorted(glob.glob(pattern, recursive=True)))
    files = [path for path in found if _is_audio(path, other)]
    if not files:
        raise UserError(
            f"No audio file matches {pattern}: check it, and quote it so that the shell leaves it."
        )
    return subtitles.entries(Path(pattern), files)


def read_url(url: str) -> list[Entry]:
    """All audio under a prefix, what matches a glob, or one file. Transcripts there are refused, not overlooked."""
    filesystem, root = _filesystem(checked_url(url))
    try:
        names = filesystem.glob(root) if any(c in root for c in _MAGIC) else filesystem.find(root)
    except ImportError:
        raise UserError(f"{url} cannot be listed here: install rosella-tts[cloud].") from None
    except Exception as error:  # every store's library has errors of its own
        raise UserError(
            f"{url} cannot be listed ({error}): check the address, your credentials and the connection."
        ) from None
    kinds = {name: PurePosixPath(name).suffix.lower() for name in sorted(names)}
    transcripts = [name for name, kind in kinds.items() if kind in _TRANSCRIPTS]
    if transcripts:
        raise UserError(
            f"{url} holds transcripts ({PurePosixPath(transcripts[0]).name}), which are read from local files: "
            f"download them, and name the audio by its URL in a {MANIFEST_NAME}."
        )
    found = [filesystem.unstrip_protocol(name) for name, kind in kinds.items() if kind in AUDIO_SUFFIXES]
    if not found:
        raise UserError(f"{url} holds no audio files: check the address.")
    return [entry_at(place, Path(), PurePosixPath(place).name) for place in found]


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        return fsspec.url_to_fs(url)
    except ImportError:
        raise UserError(f"{url} cannot be read here: install rosella-tts[cloud].") from None


def audio_files(folder: Path, other: Callable[[str], None]) -> Iterator[Path]:
    """Every audio file of a folder and its subfolders, links followed but no folder entered twice.

    `other` hears of files that are neither named like audio nor read with it.
    """
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            path = Path(here, name)
            if _is_audio(path, other):
                yield path


def _is_audio(path: Path, other: Callable[[str], None]) -> bool:
    kind = path.suffix.lower()
    if not path.is_file():
        return False
    if kind not in AUDIO_SUFFIXES and kind not in _TRANSCRIPTS and not path.name.startswith("."):
        other(str(path))
    return kind in AUDIO_SUFFIXES


def _refuse(error: OSError) -> None:
    raise UserError(
        f"{error.filename} cannot be listed ({error.strerror}): check its permissions."
    ) from error
