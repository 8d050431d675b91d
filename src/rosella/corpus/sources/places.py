"""Audio by its place, with the subtitles beside it: files, folders, globs, prefixes of what fsspec knows (`gs://`, `s3://`)."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from rosella.corpus.sources import subtitles
from rosella.corpus.sources.entries import (
    AUDIO_SUFFIXES,
    Entry,
    Problems,
    check_url,
    entry_at,
    normalise_turns,
)
from rosella.errors import UserError

_MAGIC = "*?["
_TRANSCRIPTS = (*subtitles.SUFFIXES, ".jsonl")


def read_file(path: Path) -> list[Entry]:
    """An audio file, or subtitles with their audio beside them."""
    audio = _beside(path, AUDIO_SUFFIXES) if path.suffix.lower() in subtitles.SUFFIXES else path
    if audio is None:
        raise UserError(f"{path} has no audio file of the same name beside it: put it there.")
    return _entries(path, [audio])


def read_folder(folder: Path, other: Callable[[str], None]) -> list[Entry]:
    """Every audio file of a folder and its subfolders; `other` hears of the rest."""
    files = list(audio_files(folder, other))
    if not files:
        raise UserError(
            f"{folder} holds neither a manifest.jsonl or metadata.csv nor audio files: see docs/corpus.md."
        )
    return _entries(folder, files)


def read_glob(pattern: str, other: Callable[[str], None]) -> list[Entry]:
    """The audio files that match; with subtitles beside them, their turns. `other` hears of the rest."""
    found = (Path(name) for name in sorted(glob.glob(pattern, recursive=True)))
    files = [path for path in found if _is_audio(path, other)]
    if not files:
        raise UserError(
            f"No audio file matches {pattern}: check it, and quote it so that the shell leaves it."
        )
    return _entries(Path(pattern), files)


def _entries(source: Path, files: Sequence[Path]) -> list[Entry]:
    """Audio files with the turns of the subtitles beside them; without turns where there are none."""
    found = ((audio, _beside(audio, subtitles.SUFFIXES)) for audio in files)
    return Problems(source).entries(
        (((beside or audio).name, (audio, beside)) for audio, beside in found), _entry
    )


def _entry(files: tuple[Path, Path | None], where: str) -> Entry:
    audio, subtitle = files
    return Entry(audio, normalise_turns(subtitles.read(subtitle), tagged=True) if subtitle else (), where)


def _beside(path: Path, suffixes: tuple[str, ...] | frozenset[str]) -> Path | None:
    candidates = (path.with_suffix(s) for suffix in sorted(suffixes) for s in (suffix, suffix.upper()))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_url(url: str) -> list[Entry]:
    """All audio under a prefix, what matches a glob, or one file. Transcripts there are refused, not overlooked."""
    filesystem, root = _filesystem(check_url(url))
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
            "download them, and name the audio by its URL in a manifest.jsonl."
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
