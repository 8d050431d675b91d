"""How much space codes take in shards, and how fast training reads them back at random.

Ten hours of uniformly random codes of the 44.1 kHz DAC (real ones compress a little better), in utterances of
12 s. Beside them, where pandas is installed, an hour of the same as lists of int64, read by pandas as the reference
does. Prints one row of the table in benchmarks/README.md.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from _machine import row

from rosella.corpus.shards import CodecFacts, Export, Weight, write_export, write_shard
from rosella.records import Utterance

CODEC = CodecFacts("benchmark", 44_100, 44_100 / 512, 9, 1024)
HOURS, SECONDS, SHARDS, READS = 10, 12, 4, 300


def utterances(shard: int, rng: np.random.Generator) -> list[tuple[Utterance, np.ndarray]]:
    frames, count = int(SECONDS * CODEC.frame_rate), HOURS * 3600 // SECONDS // SHARDS
    codes = rng.integers(0, CODEC.codebook_size, (count, frames, CODEC.num_codebooks), np.uint16)
    names = (f"{shard}-{number}" for number in range(count))
    return [
        (Utterance(name, "recording", 0.0, SECONDS, "[S1] x"), item)
        for name, item in zip(names, codes, strict=True)
    ]


def by_pandas(folder: Path, arrays: list[np.ndarray]) -> float | None:
    """Utterances a second that pandas reads from lists of int64, into arrays."""
    try:
        import pandas
    except ImportError:
        return None
    frame = pandas.DataFrame({"codes": [array.astype(np.int64).tolist() for array in arrays]})
    frame.to_parquet(folder / "lists.parquet")
    start = time.perf_counter()
    for codes in pandas.read_parquet(folder / "lists.parquet")["codes"]:
        np.stack(codes)
    return len(arrays) / (time.perf_counter() - start)


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
        start = time.perf_counter()
        for index in rng.integers(0, len(export), READS):
            export.codes(int(index))
        read = (time.perf_counter() - start) / READS
        start = time.perf_counter()
        for index in range(len(export)):
            export.codes(index)
        ours = len(export) / (time.perf_counter() - start)
        theirs = by_pandas(corpus, [codes for _, codes in rows[0][:300]])
    beside = f"; in order {ours:.0f} utterances/s"
    if theirs is not None:
        beside += f", pandas with lists of int64 {theirs:.0f}: {ours / theirs:.0f} x"
    hour = size / HOURS / 1e6
    print(
        row(
            "shards",
            f"{hour:.2f} MB/h, written at {HOURS / written:.1f} h/s, random read {read * 1e3:.1f} ms{beside}",
        )
    )


if __name__ == "__main__":
    main()
