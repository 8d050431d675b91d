"""A tiny model configuration and a synthetic export, for every test of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tiny_dia
from rosella.codec.facts import CodecFacts
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export
from rosella.training import order
from rosella.training.recipe import Recipe
from tiny_dia import shaped

CODEC = CodecFacts("tiny", sample_rate=16000, frame_rate=50.0, num_codebooks=3, codebook_size=16)
WORDS = ("een", "two", "drie", "fünf", "zes")


def config() -> DiaConfig:
    return shaped(delays=(0, 1, 2), steps=64, codec="tiny", layers=1)


def utterance(number: int) -> tuple[Utterance, np.ndarray]:
    random = np.random.default_rng(number)
    frames = 6 + number % 25
    words = " ".join(random.choice(WORDS, 1 + frames // 8))
    name = utterance_id("rec", float(number), number + frames / 50)
    record = Utterance(name, "rec", float(number), number + frames / 50, f"[S1] {words}")
    return record, random.integers(0, 16, (frames, 3)).astype(np.uint16)


def write(directory: Path, count: int = 30, validation: int = 4) -> Export:
    rows = [utterance(number) for number in range(count)]
    weights = {
        record.id: Weight(
            1.0 + number % 3, 0.5 + number % 2, "validation" if number < validation else "train"
        )
        for number, (record, _) in enumerate(rows)
    }
    entry = write_shard(directory / "shards" / "one.parquet", rows, CODEC)
    write_export(directory, CODEC, [entry], weights)
    return Export.open(directory)


def recipe(export: str | Path, **changes) -> Recipe:
    values = {
        "model": {"weights": None, "preset": "mini"},
        "data": {
            "export": str(export),
            "max_text_bytes": 60,
            "max_frames": 40,
            "batch_size": 4,
            "buckets": 1,
            "sampling_weights": False,
        },
        "optimizer": {"lr": 0.01, "schedule": "constant"},
        "steps": 8,
        "evaluate": {"every": 4, "batches": 2},
        "checkpoint": {"every": 3, "keep": 2},
    }
    return Recipe.model_validate({**values, **changes})


def model() -> Dia:
    """The same small random model every time."""
    return tiny_dia.model(config())


def planned_run(export: Export, steps: int = 20, **changes):
    two = {**recipe(export.directory).data.model_dump(), "buckets": 2}
    chosen = recipe(export.directory, **{"data": two, **changes})
    split = order.read_split(export, chosen.data, "train")
    overhead = config().steps(0)
    buckets = order.choose_buckets([split], chosen.data, overhead)
    return split, buckets, order.plan_training(split, buckets, chosen.data, steps, chosen.seed, overhead)
