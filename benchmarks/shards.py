"""How much space codes take in shards, and how fast training reads them back at random.

Ten hours of uniformly random codes of the 44.1 kHz DAC (real ones compress a little better), in utterances of
12 s. Beside them, what pyarrow alone takes to decode the same row groups (the floor), and an hour of the same as lists of
int64, read by pandas: flat with their shape, as Parkiet (`jax/dataset.py`, d85a55b) keeps them, and as lists of frames.
Processor time, the least of several turns. Prints one row of the table in benchmarks/README.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
from _machine import row

from rosella.codec.facts import CodecFacts
from rosella.records import Utterance
from rosella.shards.format import Weight, read_manifest, write_export, write_shard
from rosella.shards.read import Export

CODEC = CodecFacts("benchmark", 44_100, 44_100 / 512, 9, 1024)
HOURS, SECONDS, SHARDS, READS, TIMES = 10, 12, 4, 300, 5


def utterances(shard: int, rng: np.random.Generator) -> list[tuple[Utterance, np.ndarray]]:
    frames, count = int(SECONDS * CODEC.frame_rate), HOURS * 3600 // SECONDS // SHARDS
    codes = rng.integers(0, CODEC.codebook_size, (count, frames, CODEC.num_codebooks), np.uint16)
    names = (f"{shard}-{number}" for number in range(count))
    return [
        (Utterance(name, "recording", 0.0, SECONDS, "[S1] x"), item)
        for name, item in zip(names, codes, strict=True)
    ]


def in_order(corpus: Path) -> int:
    """Read every utterance through an export that has none in memory; how many."""
    export = Export(str(corpus), read_manifest(corpus))
    for index in range(len(export)):
        export.codes(index)
    return len(export)


def by_pyarrow(corpus: Path) -> int:
    """Decode the row groups of all shards and nothing more."""
    count = 0
    for path in (corpus / "shards").iterdir():
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            count += file.read_row_group(group, columns=["codes"], use_threads=False).num_rows
    return count


def by_pandas_flat(corpus: Path) -> int:
    rows = pandas.read_parquet(corpus / "flat.parquet").itertuples()
    return len([np.array(row.codes, np.int32).reshape(row.shape.tolist()) for row in rows])


def by_pandas_nested(corpus: Path) -> int:
    return len([np.stack(codes) for codes in pandas.read_parquet(corpus / "nested.parquet")["codes"]])


def write_lists(corpus: Path, arrays: list[np.ndarray]) -> None:
    """What pandas reads."""
    columns = {"shape": [array.shape for array in arrays], "codes": [array.reshape(-1) for array in arrays]}
    types = [("shape", pa.list_(pa.int64())), ("codes", pa.list_(pa.int64()))]
    pq.write_table(pa.table(columns, pa.schema(types)), corpus / "flat.parquet", compression="zstd")
    nested = pa.array([array.tolist() for array in arrays], pa.list_(pa.list_(pa.int64())))
    pq.write_table(pa.table({"codes": nested}), corpus / "nested.parquet", compression="zstd")


def utterances_per_second(ways: list[Callable[[Path], int]], corpus: Path) -> list[float]:
    """The best of `TIMES` turns of each way; they take turns, since other work on the machine comes and goes."""
    best = [0.0] * len(ways)
    for _ in range(TIMES):
        for number, way in enumerate(ways):
            start = time.process_time()
            count = way(corpus)
            best[number] = max(best[number], count / (time.process_time() - start))
    return best


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        rows = [utterances(shard, rng) for shard in range(SHARDS)]
        start = time.perf_counter()
        shards = [write_shard(corpus / "shards" / f"{n}.parquet", part, CODEC) for n, part in enumerate(rows)]
        written = time.perf_counter() - start
        write_export(
            corpus, CODEC, shards, {utterance.id: Weight() for part in rows for utterance, _ in part}
        )
        size = sum(file.stat().st_size for file in corpus.rglob("*.parquet"))
        export = Export.open(corpus)
        start = time.process_time()
        for index in rng.integers(0, len(export), READS):
            export.codes(int(index))
        read = (time.process_time() - start) / READS
        write_lists(corpus, [codes for _, codes in rows[0][:300]])
        ways = [in_order, by_pyarrow, by_pandas_flat, by_pandas_nested]
        ours, floor, flat, nested = utterances_per_second(ways, corpus)
    beside = (
        f"; in order {ours:.0f} utterances/s, {ours / floor:.0%} of the {floor:.0f} of pyarrow alone; pandas with"
        f" flat lists of int64 {flat:.0f}: {ours / flat:.1f} x, with lists of frames {nested:.0f}: {ours / nested:.1f} x"
    )
    hour = size / HOURS / 1e6
    print(
        row(
            "shards",
            f"{hour:.2f} MB/h, written at {HOURS / written:.1f} h/s, random read {read * 1e3:.1f} ms{beside}",
        )
    )


if __name__ == "__main__":
    main()
