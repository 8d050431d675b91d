"""The Parquet files of an export, local or at a URL fsspec knows: checked, and the latest few kept open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rosella.errors import UserError
from rosella.files import sha256

OPEN_FILES = 16
"""Opening a file and parsing its footer takes a third of the time that reading one row group of codes does."""


class ShardFiles:
    """The shards in a folder of an fsspec filesystem. For one thread and one process at a time; may be pickled."""

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._filesystem, self._folder = filesystem, folder
        self._open: OrderedDict[str, tuple[Any, pq.ParquetFile]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    @contextmanager
    def opened(self, name: str) -> Generator[pq.ParquetFile]:
        """A shard to read from within the block; a UserError where it is missing or turns out to be damaged."""
        try:
            yield self._file(name)
        except FileNotFoundError:
            raise UserError(self._advice(name, "missing: run")) from None
        except (pa.ArrowInvalid, OSError) as error:
            self._close(name)
            raise UserError(self._advice(name, "damaged: delete it and run")) from error

    def verify(self, name: str, expected: str) -> None:
        """A UserError where the SHA-256 of a shard is not as expected."""
        try:
            with self._filesystem.open(f"{self._folder}/{name}", "rb") as file:
                found = sha256(file)
        except FileNotFoundError:
            raise UserError(self._advice(name, "missing: run")) from None
        if found != expected:
            raise UserError(self._advice(name, "damaged: delete it and run"))

    def _advice(self, name: str, fault: str) -> str:
        return f"Shard {self._folder}/{name} is {fault} `rosella corpus export` again."

    def _file(self, name: str) -> pq.ParquetFile:
        if name in self._open:
            self._open.move_to_end(name)
        else:
            handle = self._filesystem.open(f"{self._folder}/{name}", "rb")
            try:
                self._open[name] = handle, pq.ParquetFile(handle, page_checksum_verification=True)
            except BaseException:
                handle.close()
                raise
            if len(self._open) > OPEN_FILES:
                self._close(next(iter(self._open)))
        return self._open[name][1]

    def _close(self, name: str) -> None:
        if name in self._open:
            self._open.pop(name)[0].close()
