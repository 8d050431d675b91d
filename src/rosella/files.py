"""Files and directories that are either whole or absent, whatever happens while they are written, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from rosella.errors import NoSpace, is_full_disk
from rosella.failpoints import failpoint

TEMPORARY = ".*.tmp"
"""Names of what was never finished, by a process that was killed."""

_BLOCK = 1 << 20
MANIFEST = "manifest.json"
"""In a sealed directory: the SHA-256 of every other file."""
_PART = "manifest-{}.json"


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary file beside `path` that takes its place, synced, when the block succeeds; folders above are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with _room_for(path):
            yield temporary
            _sync(temporary)
            failpoint("before-rename")
            temporary.replace(path)
            _sync(path.parent)
            failpoint("after-rename")
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_directory(path: Path, temporary: Path | None = None) -> Generator[Path]:
    """The same for a directory, which the block makes; one that is there gives way to it.

    Where several processes write it, all know its `temporary` name, and one is here.
    """
    temporary, made = temporary or _beside(path), missing(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        for each in (*temporary.rglob("*"), temporary):
            _sync(each)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        remove_empty(made)


def write_bytes(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: Any, indent: int | None = 2) -> None:
    """JSON in UTF-8, whole or not at all."""
    write_text(path, json.dumps(values, ensure_ascii=False, indent=indent) + "\n")


def sha256(source: str | Path | BinaryIO) -> str:
    """Of a file's bytes, from where an open one stands; hexadecimal."""
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            return sha256(file)
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def seal(directory: Path) -> None:
    """Write the manifest of a directory that is complete; what `seal_part` has hashed is not read again."""
    parts = sorted(directory.glob(_PART.format("*")))
    known = {name: digest for part in parts for name, digest in json.loads(part.read_text()).items()}
    for part in parts:
        part.unlink()
    rest = {name: sha256(directory / name) for name in _names(directory) if name not in known}
    write_json(directory / MANIFEST, dict(sorted((known | rest).items())), indent=1)


def seal_part(directory: Path, number: int, below: str) -> None:
    """Hash what one of several processes wrote, the files in the folder `below`, for `seal`."""
    digests = {name: sha256(directory / name) for name in _names(directory) if name.startswith(f"{below}/")}
    write_json(directory / _PART.format(number), digests, indent=1)


def find_damage(sealed: Path, part: int = 0, parts: int = 1) -> str | None:
    """What is wrong with the files of a sealed directory, or None; of `parts` processes each looks at its part."""
    try:
        expected: dict[str, str] = json.loads((sealed / MANIFEST).read_text())
        looked = sorted({*expected, *_names(sealed)})[part::parts]
        found = {name: sha256(sealed / name) for name in looked if (sealed / name).is_file()}
    except (OSError, ValueError) as error:
        return f"{MANIFEST} is unreadable: {error}"
    wrong = [name for name in looked if expected.get(name) != found.get(name)]
    return f"{wrong[0]} is not what was written" if wrong else None


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


def _names(directory: Path) -> list[str]:
    """Of all files below a directory but its manifest."""
    paths = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path != Path(MANIFEST))


@contextmanager
def _room_for(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise NoSpace(
            f"No space left to write {path}: free some and run the same command again, what is done is kept."
        ) from error


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
