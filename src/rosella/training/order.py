"""Which utterances are trained on, in which batches, in which order: it follows from the recipe and the export alone.

Every bucket is one shape to compile. All batches of a run are planned beforehand as rows of the export (a few bytes each).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.errors import UserError
from rosella.shards.read import Export
from rosella.training.recipe import DataRecipe

FRAME_STEP, TEXT_STEP = 8, 16
"""Bucket sizes are multiples of these."""


@dataclass(frozen=True)
class Bucket:
    """One batch shape: `rows` utterances of at most `frames` frames and `text_bytes` bytes."""

    rows: int
    frames: int
    text_bytes: int


@dataclass(frozen=True)
class Split:
    """The usable utterances of one split: rows of the export, their texts (byte ids), frames, and how often they are
    drawn and how much they count."""

    rows: np.ndarray
    texts: list[np.ndarray]
    frames: np.ndarray
    weights: np.ndarray
    loss_weights: np.ndarray
    rejects: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)


class Planned(NamedTuple):
    """One batch to come: its bucket and its members' positions in the split; -1 is an empty row."""

    bucket: Bucket
    members: np.ndarray


def read_split(export: Export, data: DataRecipe, split: str) -> Split:
    """Choose the utterances of a split that fit; the others are counted by reason."""
    index = export.index(["text", "frames"])
    rejects: Counter[str] = Counter()
    rows, texts, frames, weights, loss_weights = [], [], [], [], []
    for row, record in enumerate(index.to_pylist()):
        if record["split"] != split:
            continue
        ids, reason = _usable(record, data)
        if ids is None:
            rejects[reason] += 1
            continue
        rows.append(row)
        texts.append(ids)
        frames.append(record["frames"])
        weights.append(record["sampling_weight"])
        loss_weights.append(record["loss_weight"] if data.loss_weights else 1.0)
    return Split(
        np.array(rows, np.int64),
        texts,
        np.array(frames, np.int64),
        np.array(weights),
        np.array(loss_weights, np.float32),
        dict(rejects),
    )


def _usable(record: dict[str, Any], data: DataRecipe) -> tuple[np.ndarray | None, str]:
    if not record["frames"]:
        return None, "no frames"
    if record["frames"] > data.max_frames:
        return None, f"longer than data.max_frames {data.max_frames}"
    try:
        ids = dialogue.encode(record["text"] or "")
    except UserError:
        return None, "text breaks the text rules"
    if len(ids) > data.max_text_bytes:
        return None, f"text longer than data.max_text_bytes {data.max_text_bytes}"
    return ids, ""


def choose_buckets(splits: Sequence[Split], data: DataRecipe) -> list[Bucket]:
    """At most `data.buckets` shapes for all splits, cut where the frames spent on padding are fewest.

    Each bucket's text width covers the shorter buckets too, so that an utterance fits every later bucket.
    """
    lengths = _ceil(np.concatenate([split.frames for split in splits]), FRAME_STEP)
    text_bytes = np.array([len(ids) for split in splits for ids in split.texts])
    edges = _best_edges(lengths, data.buckets)
    buckets = []
    for edge in edges:
        widest = int(_ceil(text_bytes[lengths <= edge].max(), TEXT_STEP))
        rows = data.batch_size or max(1, (data.batch_frames or 0) // edge)
        buckets.append(Bucket(rows, edge, min(widest, data.max_text_bytes)))
    return buckets


def _best_edges(lengths: np.ndarray, count: int) -> list[int]:
    """The `count` upper edges over `lengths` that minimise the sum of padded lengths (dynamic programming)."""
    sizes, numbers = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(numbers)])
    cost, cuts = sizes * below[1:], [np.zeros(len(sizes), int)]
    for _ in range(min(count, len(sizes)) - 1):
        total = np.where(
            np.tri(len(sizes), k=-1, dtype=bool),
            cost[None, :] + sizes[:, None] * (below[1:, None] - below[None, 1:]),
            np.iinfo(np.int64).max,
        )
        choice = total.argmin(axis=1)
        better = total[np.arange(len(sizes)), choice] < cost
        cuts.append(np.where(better, choice + 1, 0))
        cost = np.where(better, total[np.arange(len(sizes)), choice], cost)
    return _trace(sizes, cuts)


def _trace(sizes: np.ndarray, cuts: list[np.ndarray]) -> list[int]:
    edges, end = [], len(sizes)
    for cut in reversed(cuts):
        if end:
            edges.append(int(sizes[end - 1]))
            end = int(cut[end - 1])
    return sorted(edges)


def _ceil(value: Any, step: int) -> Any:
    return -(-value // step) * step


def plan_training(
    split: Split, buckets: Sequence[Bucket], data: DataRecipe, steps: int, seed: int
) -> list[Planned]:
    """The first `steps` batches of endless epochs, each shuffled by (seed, epoch)."""
    planned: list[Planned] = []
    epoch = 0
    while len(planned) < steps:
        random = np.random.default_rng((seed, epoch))
        order = _epoch_order(split, data.sampling_weights, random)
        batches = _cut(order, split, buckets, fill=order)
        planned += [batches[i] for i in random.permutation(len(batches))]
        epoch += 1
    return planned[:steps]


def _epoch_order(split: Split, weighted: bool, random: np.random.Generator) -> np.ndarray:
    if not weighted:
        return random.permutation(len(split))
    return random.choice(len(split), len(split), p=split.weights / split.weights.sum())


def plan_validation(split: Split, buckets: Sequence[Bucket], batches: int) -> list[Planned]:
    """Every utterance of the split once, empty rows at the end; at most `batches` batches, spread over the lengths."""
    planned = _cut(np.arange(len(split)), split, buckets, fill=np.full(1, -1))
    chosen = np.unique(np.linspace(0, len(planned) - 1, min(batches, len(planned))).round().astype(int))
    return [planned[i] for i in chosen]


def _cut(order: np.ndarray, split: Split, buckets: Sequence[Bucket], fill: np.ndarray) -> list[Planned]:
    """Cut an order of utterances into batches. What a bucket leaves over joins the next longer one; the very last
    batch is completed from `fill`."""
    planned = []
    smallest = np.searchsorted([bucket.frames for bucket in buckets], split.frames[order])
    left = np.zeros(0, np.int64)
    for number, bucket in enumerate(buckets):
        members = np.concatenate([left, order[smallest == number]])
        whole = len(members) - len(members) % bucket.rows
        planned += [Planned(bucket, members[i : i + bucket.rows]) for i in range(0, whole, bucket.rows)]
        left = members[whole:]
    if len(left):
        planned.append(
            Planned(buckets[-1], np.concatenate([left, np.resize(fill, buckets[-1].rows - len(left))]))
        )
    return planned


def fingerprint(split: Split, buckets: Sequence[Bucket]) -> str:
    """Identifies what a plan is made from: a saved position is only valid with the same utterances and shapes."""
    digest = hashlib.sha256(repr(list(buckets)).encode())
    for array in (split.rows, split.frames, split.weights, split.loss_weights, *split.texts):
        digest.update(array.tobytes())
    return digest.hexdigest()
