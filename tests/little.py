"""A recipe that teaches the embedded model what a few made-up utterances say, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rosella.codec import load_codec
from rosella.codec.facts import CodecFacts
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard


def write(folder: Path, steps: int) -> Path:
    """The recipe's file, with its corpus beside it; a checkpoint every second step."""
    codec, random = CodecFacts.of(load_codec("mini")), np.random.default_rng(0)
    rows = []
    for number in range(12):
        codes = random.integers(0, codec.codebook_size, (20 + number, codec.num_codebooks)).astype(np.uint16)
        name = utterance_id("rec", float(number), number + len(codes) / codec.frame_rate)
        rows.append((Utterance(name, "rec", float(number), number + 0.5, "[S1] een twee"), codes))
    splits = {row.id: Weight(1.0, 1.0, "validation" if i < 2 else "train") for i, (row, _) in enumerate(rows)}
    shard = write_shard(folder / "corpus/shards/one.parquet", rows, codec)
    write_export(folder / "corpus", codec, [shard], splits)
    recipe = {
        "data": {"export": str(folder / "corpus"), "max_frames": 40, "batch_size": 4, "buckets": 1},
        "steps": steps,
        "checkpoint": {"every": 2},
        "evaluate": {"every": steps, "batches": 1},
    }
    path = folder / "little.yaml"
    path.write_text(json.dumps(recipe))
    return path
