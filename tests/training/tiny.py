"""A tiny model configuration and a synthetic export, for every test of training."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.codec.facts import CodecFacts
from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig
from rosella.model.transformer import Dia
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export
from rosella.training import order
from rosella.training.recipe import Recipe

CODEC = CodecFacts("tiny", sample_rate=16000, frame_rate=50.0, num_codebooks=3, codebook_size=16)
WORDS = ("een", "two", "drie", "fünf", "zes")


def config() -> DiaConfig:
    decoder = DecoderConfig(
        16, 1, 2, 1, 8, 2, 2, 8, 16, intermediate_size=24, max_position_embeddings=64, vocab_size=20,
        num_channels=3, eos_token_id=16, pad_token_id=17, bos_token_id=18,
    )  # fmt: skip
    encoder = EncoderConfig(16, 1, 2, 2, 8, intermediate_size=24, max_position_embeddings=64)
    return DiaConfig(encoder, decoder, delay_pattern=(0, 1, 2), codec="tiny")


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
        },
        "optimizer": {"lr": 0.01, "schedule": "constant"},
        "steps": 8,
        "evaluate": {"every": 4, "batches": 2},
        "checkpoint": {"every": 3, "keep": 2},
    }
    return Recipe.model_validate({**values, **changes})


def model() -> Dia:
    """The same small random model every time, without compiling an initialiser per shape."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: Dia(config(), nnx.Rngs(0))))
    leaves, structure = jax.tree.flatten(shapes)
    random = np.random.default_rng(0)
    values = [jnp.asarray(random.normal(0, 0.1, leaf.shape), jnp.float32) for leaf in leaves]
    return nnx.merge(graph, jax.tree.unflatten(structure, values))


def planned_run(export: Export, steps: int = 20, **changes):
    two = {**recipe(export.directory).data.model_dump(), "buckets": 2}
    chosen = recipe(export.directory, **{"data": two, **changes})
    split = order.read_split(export, chosen.data, "train")
    buckets = order.choose_buckets([split], chosen.data)
    return split, buckets, order.plan_training(split, buckets, chosen.data, steps, chosen.seed)
