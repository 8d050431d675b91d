"""Which utterances are trained on, in which batches, in which order: it follows from the recipe and the export alone.

Every bucket is one shape to compile. All batches of a run are planned beforehand as rows of the export (a few bytes each).
A row of a batch is one utterance, padded, or with `data.pack` as many as fit one behind the other.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from rosella import dialogue
from rosella.errors import UserError
from rosella.shards.read import Export
from rosella.training.recipe import DataRecipe

FRAME_STEP, TEXT_STEP = 8, 16
"""Bucket sizes are multiples of these."""

READ_AT_ONCE, PACKED_AT_ONCE = 1 << 16, 1 << 12
"""Utterances."""


@dataclass(frozen=True)
class Bucket:
    """One batch shape: `rows` rows of at most `frames` frames, `text_bytes` bytes and `places` utterances."""

    rows: int
    frames: int
    text_bytes: int
    places: int = field(default=1, repr=False)  # the fingerprints of older runs know nothing of it


class Texts(Sequence[np.ndarray]):
    """Byte ids int32 of many texts, kept as one array of bytes."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.lengths = np.array([len(text) for text in texts], np.int64)
        self.joined = np.frombuffer(b"".join(texts), np.uint8)
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: Any) -> Any:
        end = self._ends[number]
        return self.joined[end - self.lengths[number] : end].astype(np.int32)


@dataclass(frozen=True)
class Split:
    """The usable utterances of one split: rows of the export, their texts (byte ids), frames, and how often they are
    drawn and how much they count."""

    rows: np.ndarray
    texts: Texts
    frames: np.ndarray
    weights: np.ndarray
    loss_weights: np.ndarray
    rejects: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)


class Planned(NamedTuple):
    """One batch to come: its bucket and its members' positions in the split [rows, places]; -1 is an empty place."""

    bucket: Bucket
    members: np.ndarray


def read_split(export: Export, data: DataRecipe, split: str) -> Split:
    """Choose the utterances of a split that fit; the others are counted by reason.

    Three million utterances take the bytes of their texts and a few numbers each.
    """
    index = export.index(["text", "frames"])
    chosen = np.asarray(index["split"]) == split
    positions, index = np.flatnonzero(chosen), index.filter(pa.array(chosen))
    texts, usable, rejects = [], np.zeros(len(positions), bool), Counter[str]()
    for piece in index.select(["text", "frames"]).to_batches(max_chunksize=READ_AT_ONCE):
        for text, frames in zip(piece["text"].to_pylist(), piece["frames"].to_pylist(), strict=True):
            ids, reason = _usable(text, frames, data)
            usable[len(texts) + rejects.total()] = ids is not None
            if ids is None:
                rejects[reason] += 1
            else:
                texts.append(ids)
    numbers = {name: index[name].to_numpy()[usable] for name in ("frames", "sampling_weight", "loss_weight")}
    return Split(
        positions[usable],
        Texts(texts),
        numbers["frames"].astype(np.int64),
        numbers["sampling_weight"].astype(np.float64),
        (numbers["loss_weight"] if data.loss_weights else np.ones(len(texts))).astype(np.float32),
        dict(rejects),
    )


def _usable(text: str | None, frames: int | None, data: DataRecipe) -> tuple[bytes | None, str]:
    if not frames:
        return None, "no frames"
    if frames > data.max_frames:
        return None, f"longer than data.max_frames {data.max_frames}"
    try:
        ids = dialogue.encode(text or "")
    except UserError:
        return None, "text breaks the text rules"
    if len(ids) > data.max_text_bytes:
        return None, f"text longer than data.max_text_bytes {data.max_text_bytes}"
    return ids.astype(np.uint8).tobytes(), ""


def choose_buckets(splits: Sequence[Split], data: DataRecipe, overhead: int) -> list[Bucket]:
    """At most `data.buckets` shapes for all splits, cut where the frames spent on padding are fewest.

    Each bucket's text width covers the shorter buckets too, so that an utterance fits every later bucket. With
    `data.pack` there is one shape; `overhead` is what an utterance takes of the decoder's steps beside its frames.
    """
    frames = np.concatenate([split.frames for split in splits])
    text_bytes = np.concatenate([split.texts.lengths for split in splits])
    if data.pack is not None:
        return [_packed_bucket(data.pack, data, frames + overhead, text_bytes, overhead)]
    lengths = _ceil(frames, FRAME_STEP)
    edges = _best_edges(lengths, data.buckets)
    buckets = []
    for edge in edges:
        widest = int(_ceil(text_bytes[lengths <= edge].max(), TEXT_STEP))
        rows = data.batch_size or max(1, (data.batch_frames or 0) // edge)
        buckets.append(Bucket(rows, edge, min(widest, data.max_text_bytes)))
    return buckets


def _packed_bucket(
    frames: int, data: DataRecipe, taken: np.ndarray, text_bytes: np.ndarray, overhead: int
) -> Bucket:
    """Rows of so many frames, with room for the texts of so much speech and a tenth more.

    `taken` are the steps of each utterance; a row holds as many places as the shortest could fill.
    """
    steps = frames + overhead
    wide = max(text_bytes.max(), 1.1 * steps * text_bytes.sum() / taken.sum())
    places = steps // int(taken.min())
    return Bucket((data.batch_frames or 0) // frames, frames, int(_ceil(wide, TEXT_STEP)), places)


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
    return np.ceil(value / step).astype(int) * step


def plan_training(
    split: Split, buckets: Sequence[Bucket], data: DataRecipe, steps: int, seed: int, overhead: int
) -> list[Planned]:
    """The first `steps` batches of endless epochs, each shuffled by (seed, epoch)."""
    planned: list[Planned] = []
    epoch = 0
    while len(planned) < steps:
        random = np.random.default_rng((seed, epoch))
        order = _epoch_order(split, data.sampling_weights, random)
        batches = _batches(order, split, buckets, order, overhead, random)
        planned += [batches[i] for i in random.permutation(len(batches))]
        epoch += 1
    return planned[:steps]


def _epoch_order(split: Split, weighted: bool, random: np.random.Generator) -> np.ndarray:
    """As many draws as utterances: each once, or as often as its weight says, all rounded by one random number
    (systematic resampling)."""
    if not weighted or np.all(split.weights == split.weights[0]):
        return random.permutation(len(split))
    ends = np.cumsum(split.weights)
    times = np.diff(np.floor(ends / ends[-1] * len(split) + random.random()).astype(np.int64), prepend=0)
    return random.permutation(np.repeat(np.arange(len(split)), times))


def plan_validation(split: Split, buckets: Sequence[Bucket], batches: int, overhead: int) -> list[Planned]:
    """Every utterance of the split once, empty rows at the end; at most `batches` batches, spread over the lengths."""
    planned = _batches(np.arange(len(split)), split, buckets, np.full(1, -1), overhead)
    chosen = np.unique(np.linspace(0, len(planned) - 1, min(batches, len(planned))).round().astype(int))
    return [planned[i] for i in chosen]


def _batches(
    order: np.ndarray,
    split: Split,
    buckets: Sequence[Bucket],
    fill: np.ndarray,
    overhead: int,
    random: np.random.Generator | None = None,
) -> list[Planned]:
    if buckets[0].places == 1:
        return _cut(order, split, buckets, fill)
    rows = pack(order, split, buckets[0], overhead)
    return _cut_packed(rows if random is None else random.permutation(rows), buckets[0], fill)


def pack(order: np.ndarray, split: Split, bucket: Bucket, overhead: int) -> np.ndarray:
    """Rows [N, places] that hold an order of utterances, as full as may be; -1 is an empty place.

    Of every `PACKED_AT_ONCE` utterances the longest comes first, into the fullest row that has room (best fit, in
    falling order).
    """
    done: list[list[int]] = []
    for first in range(0, len(order), PACKED_AT_ONCE):
        piece = order[first : first + PACKED_AT_ONCE]
        done += _fit(piece, split, bucket, overhead)
    rows = np.full((len(done), bucket.places), -1, np.int64)
    for row, members in zip(rows, done, strict=True):
        row[: len(members)] = members
    return rows


def _fit(piece: np.ndarray, split: Split, bucket: Bucket, overhead: int) -> list[list[int]]:
    rows: list[list[int]] = []
    free = list[tuple[int, int, int]]()  # of rows with room: steps, bytes of text, number; sorted
    for i in piece[np.argsort(-split.frames[piece], kind="stable")].tolist():
        steps, text = int(split.frames[i]) + overhead, int(split.texts.lengths[i])
        at = bisect_left(free, (steps, 0, 0))
        while at < len(free) and free[at][1] < text:
            at += 1
        room = free.pop(at) if at < len(free) else (bucket.frames + overhead, bucket.text_bytes, len(rows))
        if room[2] == len(rows):
            rows.append([])
        rows[room[2]].append(i)
        insort(free, (room[0] - steps, room[1] - text, room[2]))
    return rows


def _cut_packed(rows: np.ndarray, bucket: Bucket, fill: np.ndarray) -> list[Planned]:
    """Batches of packed rows. The last is completed with rows of its own kind, or left empty where `fill` is -1."""
    missing = -len(rows) % bucket.rows
    again = (
        np.full((missing, bucket.places), -1) if fill[0] < 0 else np.resize(rows, (missing, bucket.places))
    )
    whole = np.concatenate([rows, again]).reshape(-1, bucket.rows, bucket.places)
    return [Planned(bucket, members) for members in whole]


def _cut(order: np.ndarray, split: Split, buckets: Sequence[Bucket], fill: np.ndarray) -> list[Planned]:
    """Cut an order of utterances into batches. What a bucket leaves over joins the next longer one; the very last
    batch is completed from `fill`."""
    planned: list[Planned] = []
    smallest = np.searchsorted([bucket.frames for bucket in buckets], split.frames[order])
    left = np.zeros(0, np.int64)
    for number, bucket in enumerate(buckets):
        members = np.concatenate([left, order[smallest == number]])
        whole = len(members) - len(members) % bucket.rows
        planned += [Planned(bucket, members[i : i + bucket.rows, None]) for i in range(0, whole, bucket.rows)]
        left = members[whole:]
    if len(left):
        last = np.concatenate([left, np.resize(fill, buckets[-1].rows - len(left))])
        planned.append(Planned(buckets[-1], last[:, None]))
    return planned


def fingerprint(split: Split, buckets: Sequence[Bucket]) -> str:
    """Identifies what a plan is made from: a saved position is only valid with the same utterances and shapes."""
    digest = hashlib.sha256(repr(list(buckets)).encode())
    for array in (split.rows, split.frames, split.weights, split.loss_weights):
        digest.update(array.tobytes())
    for first in range(0, len(split.texts.joined), 1 << 24):
        digest.update(split.texts.joined[first : first + (1 << 24)].astype(np.int32).tobytes())
    return digest.hexdigest()
