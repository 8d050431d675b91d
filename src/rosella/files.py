"""Files and directories that are either whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place, synced, when the block succeeds."""
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """The same for a directory, which the block makes; one that is there gives way to it."""
    temporary, made = _beside(path), missing(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        remove_empty(made)


def missing(directory: Path) -> list[Path]:
    """Of a directory and all above it those that do not exist, innermost first."""
    return [each for each in (directory, *directory.parents) if not os.path.exists(each)]


def remove_empty(directories: Iterable[Path]) -> None:
    """Remove directories up to the first that holds something."""
    with suppress(OSError):
        for directory in directories:
            directory.rmdir()


def require_space(directory: Path, arrays: Iterable[int]) -> None:
    """Raise the error of a full disk unless an Orbax tree of arrays of so many bytes fits into `directory`.

    Orbax writes from many threads, and each prints what befalls it, so it is not let loose on a disk that will be full.
    """
    sizes = list(arrays)
    # Compressed, but numbers hardly shrink; the rest is what is written about each array.
    needed = int(1.01 * sum(sizes)) + len(sizes) * 2048 + (256 << 10)
    if shutil.disk_usage(directory).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
