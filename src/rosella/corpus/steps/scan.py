"""Looking at a file once: hash of its content, real duration, rate; and whether it is still what was seen."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

import fsspec

from rosella import audio
from rosella.corpus.catalogue.store import Source
from rosella.errors import UserError, is_full_disk
from rosella.records import Recording, content_id

_COPY_BYTES = 1 << 20


def source_of(path: str) -> Source:
    """What tells whether a file changed: size and time, or what its store gives instead. Zeros where it is absent."""
    if audio.is_url(path):
        return _remote_source(path)
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return Source(path, 0, 0)
    return Source(path, stat.st_size, stat.st_mtime_ns)


def _remote_source(url: str) -> Source:
    try:
        filesystem, root = fsspec.url_to_fs(url)
        filesystem.invalidate_cache()
        key = hashlib.sha256(str(filesystem.ukey(root)).encode()).digest()
        return Source(url, int(filesystem.size(root) or 0), int.from_bytes(key[:8], "big") >> 1)
    except Exception:  # every store's library has errors of its own; opening it will say what is wrong
        return Source(url, 0, 0)


def scan(path: str, facts: Mapping[str, str | None]) -> Recording:
    """The recording in a file; a UserError says why it cannot be used, or that it changed meanwhile."""
    before = source_of(path)
    with _twice_readable(path) as file:
        with _blaming(path):
            id = content_id(file)
        file.seek(0)
        info = audio.probe(file)
    if source_of(path) != before:
        raise UserError(f"{path} changed while it was read: add it again when it is complete.")
    return Recording(id, path, info.duration, info.sample_rate, info.channels, channel=info.channel, **facts)


def unread(path: str, facts: Mapping[str, str | None]) -> Recording:
    """Stands for a file that cannot be used, under an id of its path: its content may be another's."""
    id = hashlib.sha256(f"path:{path}".encode(errors="backslashreplace")).hexdigest()[:32]
    return Recording(id, path, 0.0, 0, 0, channel=None, **facts)


@contextmanager
def _twice_readable(path: str) -> Generator[BinaryIO]:
    """The file opened; what is remote is fetched once, into a temporary file."""
    with audio.open_source(path) as file:
        if not audio.is_url(path):
            yield file
            return
        with tempfile.TemporaryFile() as copy:
            with _blaming(path):
                copyfileobj(file, copy, _COPY_BYTES)
            copy.seek(0)
            yield _Named(copy, path)  # type: ignore[misc]


@contextmanager
def _blaming(path: str) -> Generator[None]:
    """A read that breaks off is the file's fault, or its store's; a full disk here is not."""
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise
        raise UserError(
            f"{path} cannot be read to its end ({error}): check its disk or the connection, then retry it."
        ) from error


class _Named:
    """A file that goes by the name of what it is a copy of, in what is said about it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.name = file, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._file, attribute)
