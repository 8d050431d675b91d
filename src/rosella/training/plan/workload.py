"""What there is to train on: an export's utterances, or hours of speech that are still to be recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.flops import training_flops
from rosella.shards.format import read_manifest
from rosella.shards.read import Export
from rosella.training import order
from rosella.training.order import Bucket
from rosella.training.recipe import DataRecipe, Recipe

MEAN_SECONDS, FILLED = 22.0, 0.92
"""Of hours without an export: the mean length of an utterance, and the share of computed frames that are not padding."""
SHORTEST = 1.0
"""Seconds of the shortest utterance."""
BYTES_PER_SECOND = 13.4
"""Of text, verbatim: 400 bytes in 30 s."""
FRAME_RATES = {"descript/dac_44khz": 44_100 / 512, "mini": 16_000 / 320}
"""Of codecs whose codes need not be at hand."""


@dataclass(frozen=True)
class Workload:
    """One epoch. `flops` are those of its useful frames; `filled` the share of computed frames that are; `longest` the
    shape of its longest batches. `shards` are bytes on disk."""

    source: str
    utterances: int
    hours: float
    flops: float
    filled: float
    steps: int
    longest: Bucket
    shards: int


def workload(recipe: Recipe, config: DiaConfig, hours: float | None) -> Workload:
    """Of the recipe's export where there is one; else of `hours` of speech, or of as many as its steps see once."""
    found = of_export(recipe, config) if hours is None else None
    if found is not None:
        return found
    if hours is None:
        hours = recipe.steps * _rows_of_mean(recipe.data, _frame_rate(config)) * MEAN_SECONDS / 3600
    return of_hours(recipe, config, hours)


def of_export(recipe: Recipe, config: DiaConfig) -> Workload | None:
    """What the recipe's export holds for its training split; None where there is no export."""
    data = recipe.data
    try:
        manifest = read_manifest(data.export)
    except (UserError, OSError, ImportError):
        return None
    export = Export(data.export, manifest)
    split = order.read_split(export, data, "train")
    if not len(split):
        raise UserError(
            f"No utterance of {data.export} fits data.max_frames and data.max_text_bytes: raise them."
        )
    overhead = config.steps(0)
    buckets = order.choose_buckets([split], data, overhead)
    epoch = order.plan_validation(split, buckets, len(split), overhead)
    frames = float(split.frames.sum())
    return Workload(
        f"the export in {data.export}",
        len(split),
        frames / export.codec.frame_rate / 3600,
        float(np.sum(training_flops(config, split.frames, split.texts.lengths, 1, recipe.sequences))),
        frames / sum(planned.bucket.rows * planned.bucket.frames for planned in epoch),
        len(epoch),
        buckets[-1],
        shard_bytes(frames, config),
    )


def of_hours(recipe: Recipe, config: DiaConfig, hours: float) -> Workload:
    """Hours of speech, cut as podcasts are; the longest batch is as long as the recipe allows."""
    data, rate = recipe.data, _frame_rate(config)
    utterances = max(1, round(hours * 3600 / MEAN_SECONDS))
    frames, text_bytes = MEAN_SECONDS * rate, MEAN_SECONDS * BYTES_PER_SECOND
    rows = _rows_of_mean(data, rate)
    return Workload(
        f"{hours:,.0f} h of speech, {MEAN_SECONDS:.0f} s an utterance",
        utterances,
        hours,
        float(training_flops(config, frames, text_bytes, utterances, recipe.sequences)),
        FILLED,
        -(-utterances // rows),
        _longest(data, rate),
        shard_bytes(hours * 3600 * rate, config),
    )


def _frame_rate(config: DiaConfig) -> float:
    rate = FRAME_RATES.get(config.codec)
    if rate is None:
        raise UserError(
            f"How many frames a second the codec {config.codec} makes is known only from an export: give data.export."
        )
    return rate


def _rows_of_mean(data: DataRecipe, rate: float) -> int:
    """Utterances of a batch, the longer and the shorter together."""
    return data.batch_size or max(1, int((data.batch_frames or 0) * FILLED / (MEAN_SECONDS * rate)))


def _longest(data: DataRecipe, rate: float) -> Bucket:
    """Of buckets the longest utterance; packed, a row of utterances that are as short as SHORTEST."""
    if data.pack is None:
        rows = data.batch_size or max(1, (data.batch_frames or 0) // data.max_frames)
        return Bucket(rows, data.max_frames, data.max_text_bytes)
    text_bytes = max(data.max_text_bytes, int(1.1 * data.pack / rate * BYTES_PER_SECOND))
    places = max(1, int(data.pack / rate / SHORTEST))
    return Bucket(max(1, (data.batch_frames or 0) // data.pack), data.pack, text_bytes, places)


def shard_bytes(frames: float, config: DiaConfig) -> int:
    """As measured: the bits of the codes, and a hundredth for texts and columns."""
    decoder = config.decoder
    return int(frames * decoder.num_channels * np.log2(decoder.eos_token_id) / 8 * 1.015)
