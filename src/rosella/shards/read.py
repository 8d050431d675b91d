"""Reading an export: random access to its utterances, local or at a URL fsspec knows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rosella.codec.facts import CodecFacts
from rosella.errors import UserError
from rosella.shards.files import ShardFiles
from rosella.shards.format import SCHEMA, UNTOLD, WEIGHTS_FILE, read_manifest

CACHED_ROW_GROUPS = 16
INDEX_COLUMNS = [name for name in SCHEMA.names if name != "codes"]


class Export:
    """Random access to the utterances of an export, in bounded memory. Safe to share between threads."""

    def __init__(self, directory: str, manifest: Mapping[str, Any]) -> None:
        self.directory = directory
        self.codec = CodecFacts(**manifest["codec"])
        self.shards: list[dict[str, Any]] = list(manifest["shards"])
        self.recordings: Mapping[str, Mapping[str, Any]] = manifest.get("recordings", UNTOLD)
        """What `write_export` was told of each; exports of older versions say nothing."""
        self._filesystem, self._root = fsspec.core.url_to_fs(directory)
        self._files = ShardFiles(self._filesystem, f"{self._root}/shards")
        self._groups = [
            (number, group, rows)
            for number, shard in enumerate(self.shards)
            for group, rows in enumerate(self._group_rows(shard))
        ]
        self._ends = np.cumsum([rows for _, _, rows in self._groups], dtype=np.int64)
        self._length = sum(rows for _, _, rows in self._groups)
        self._cache: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, directory: str | Path, expect_fingerprint: str | None = None) -> Self:
        """Open an export and verify every shard's SHA-256.

        A UserError says which shard is missing or damaged, or that the codes are another codec's than
        `expect_fingerprint`.
        """
        manifest = read_manifest(directory)
        found = manifest["codec"]["fingerprint"]
        if expect_fingerprint is not None and found != expect_fingerprint:
            raise UserError(
                f"The shards in {directory} hold codes of codec {found}, not {expect_fingerprint}: "
                "run `rosella corpus run` and `export` with the codec you train with."
            )
        filesystem, root = fsspec.core.url_to_fs(str(directory))
        files = ShardFiles(filesystem, f"{root}/shards")
        for shard in manifest["shards"]:
            files.verify(shard["file"], shard["sha256"])
        return cls(str(directory), manifest)

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def index(self, columns: Sequence[str] = INDEX_COLUMNS) -> pa.Table:
        """All utterances, without codes: `columns` of the shards plus sampling_weight, loss_weight and split.

        Row `i` describes `codes(i)`.
        """
        wanted = list(dict.fromkeys([*columns, "id"]))
        tables = []
        for shard in self.shards:
            with self._lock, self._files.opened(shard["file"]) as file:
                tables.append(file.read(columns=wanted).replace_schema_metadata())
        empty = pa.schema([SCHEMA.field(name) for name in wanted]).empty_table()
        table = pa.concat_tables([empty, *tables])
        return self._with_weights(table).select([*columns, "sampling_weight", "loss_weight", "split"])

    def codes(self, i: int) -> np.ndarray:
        """Codes of utterance `i`: uint16 `[frames, codebooks]`."""
        if not 0 <= i < self._length:
            raise IndexError(f"utterance {i} of {self._length}")
        group = int(self._ends.searchsorted(i, "right"))
        with self._lock:
            return self._read_group(group)[i - int(self._ends[group])]  # counted from the group's end

    def _read_group(self, group: int) -> list[np.ndarray]:
        if group in self._cache:
            self._cache.move_to_end(group)
            return self._cache[group]
        number, within, _ = self._groups[group]
        with self._files.opened(self.shards[number]["file"]) as file:
            column = (
                file.read_row_group(within, columns=["codes"], use_threads=False).column("codes").chunk(0)
            )
        offsets, flat = column.offsets.to_numpy().tolist(), column.values.to_numpy()
        rows = [flat[start:end].reshape(-1, self.codec.num_codebooks) for start, end in pairwise(offsets)]
        self._cache[group] = rows
        if len(self._cache) > CACHED_ROW_GROUPS:
            self._cache.popitem(last=False)
        return rows

    def _group_rows(self, shard: Mapping[str, Any]) -> list[int]:
        with self._files.opened(shard["file"]) as file:
            return [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]

    def _with_weights(self, table: pa.Table) -> pa.Table:
        with self._filesystem.open(f"{self._root}/{WEIGHTS_FILE}", "rb") as handle:
            weights = pq.read_table(handle, page_checksum_verification=True)
        row_of = {name: row for row, name in enumerate(weights.column("id").to_pylist())}
        try:
            rows = [row_of[name] for name in table.column("id").to_pylist()]
        except KeyError as missing:
            raise UserError(
                f"{self.directory}/{WEIGHTS_FILE} lacks utterance {missing}: "
                "run `rosella corpus export` again."
            ) from None
        chosen = weights.take(pa.array(rows, pa.int64()))
        for name in ("sampling_weight", "loss_weight", "split"):
            table = table.append_column(name, chosen.column(name))
        return table
