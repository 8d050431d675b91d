"""Batches from an export: few static shapes, an order that depends on nothing but the recipe, exact resume.

Every bucket is one shape to compile. All batches of a run are planned beforehand as rows of the index (a few bytes
each); Grain assembles them ahead of the step in threads, and its state is the number of the next batch.
Axes: B rows, S text bytes, L decoder steps, C codebooks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rosella import dialogue
from rosella.corpus.shards import Export
from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.training.recipe import DataRecipe

FRAME_STEP, TEXT_STEP = 8, 16
"""Bucket sizes are multiples of these."""

THREADS, AHEAD = 1, 4
CODES_IN_MEMORY = 1 << 29
"""Codes (1 GiB) up to which a split is read once and kept; beyond, every utterance is read from its shard."""


class Batch(NamedTuple):
    """`tokens` and `targets` are one delayed sequence, shifted by one step against each other."""

    text_ids: Any  # int32 [B, S]
    text_lengths: Any  # int32 [B]
    tokens: Any  # int32 [B, L, C]
    targets: Any  # int32 [B, L, C]
    weights: Any  # float32 [B], how much a row counts in the loss


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


def check_export(export: Export, config: DiaConfig, data: DataRecipe) -> None:
    """Refuse an export or limits that the model cannot be trained with, before any work."""
    decoder, codec = config.decoder, export.codec
    if not config.fits(codec):
        raise UserError(
            f"The codes in {data.export} have {codec.num_codebooks} codebooks of {codec.codebook_size} entries, the "
            f"model expects {decoder.num_channels} of {decoder.eos_token_id}: tokenize with the model's codec."
        )
    if config.longest_delay >= data.max_frames:
        raise UserError(
            f"data.max_frames is {data.max_frames}, but the delay pattern alone takes {config.longest_delay} "
            "frames: raise data.max_frames."
        )
    steps = config.steps(data.max_frames)
    if steps > decoder.max_position_embeddings:
        raise UserError(
            f"data.max_frames {data.max_frames} needs {steps} decoder positions, the model has "
            f"{decoder.max_position_embeddings}: lower data.max_frames."
        )
    if data.max_text_bytes > config.encoder.max_position_embeddings:
        raise UserError(
            f"data.max_text_bytes is {data.max_text_bytes}, the model reads at most "
            f"{config.encoder.max_position_embeddings}: lower data.max_text_bytes."
        )


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


CodesOf = Callable[[int], np.ndarray]


def codes_reader(export: Export, split: Split) -> CodesOf:
    """Codes uint16 [frames, C] by position in the split, from memory where they fit."""
    if int(split.frames.sum()) * export.codec.num_codebooks > CODES_IN_MEMORY:
        return lambda position: export.codes(int(split.rows[position]))
    return [export.codes(int(row)) for row in split.rows].__getitem__


def assemble(codes: CodesOf, split: Split, config: DiaConfig, planned: Planned) -> Batch:
    """Pad the utterances of one planned batch. An empty row counts nothing in the loss."""
    decoder, bucket = config.decoder, planned.bucket
    ids = [split.texts[i] if i >= 0 else np.zeros(1, np.int32) for i in planned.members]
    text_ids, lengths = dialogue.pad_batch(ids, bucket.text_bytes)
    shape = (bucket.rows, 1 + config.steps(bucket.frames), decoder.num_channels)
    sequences = np.full(shape, decoder.pad_token_id, np.int32)
    for row, i in enumerate(planned.members):
        if i >= 0:
            sequence = config.delayed(codes(int(i)), end=True)
            sequences[row, : len(sequence)] = sequence
    weights = np.where(planned.members >= 0, split.loss_weights[planned.members], 1).astype(np.float32)
    return Batch(text_ids, lengths, sequences[:, :-1], sequences[:, 1:], weights)


def stream(codes: CodesOf, split: Split, config: DiaConfig, planned: Sequence[Planned]) -> Any:
    """A Grain iterator of batches, read ahead in threads; `get_state()` is `{"next_index": n}`."""
    import grain

    dataset = grain.MapDataset.source(planned).map(lambda item: assemble(codes, split, config, item))
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)))


def fingerprint(split: Split, buckets: Sequence[Bucket]) -> str:
    """Identifies what a plan is made from: a saved position is only valid with the same utterances and shapes."""
    digest = hashlib.sha256(repr(list(buckets)).encode())
    for array in (split.rows, split.frames, split.weights, split.loss_weights, *split.texts):
        digest.update(array.tobytes())
    return digest.hexdigest()


def drop_text(text_ids: jax.Array, key: jax.Array, share: float) -> tuple[jax.Array, jax.Array]:
    """Zero the ids of a random share of the rows [B, S]; their lengths stay, as in guidance's unconditional branch.

    Returns the ids and which rows were dropped [B].
    """
    dropped = jax.random.bernoulli(key, share, text_ids.shape[:1])
    return jnp.where(dropped[:, None], dialogue.PADDING, text_ids), dropped


def drop_frames(tokens: jax.Array, key: jax.Array, share: float, pad: int) -> jax.Array:
    """Hide a share of the decoder's input steps `[B, L, C]` behind padding ids; the first, the beginning, stays.

    Frames of speech foretell the next so well that a model can lower its loss for long without reading the text;
    hiding most of them makes it read (as the dropout in the pre-net of Tacotron does, arXiv 1703.10135).
    """
    hidden = jax.random.bernoulli(key, share, tokens.shape[:2]).at[:, 0].set(False)
    return jnp.where(hidden[..., None], pad, tokens)
