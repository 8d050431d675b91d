"""Batches of an export, in the order planned: Grain assembles them ahead of the step in threads.

The state of the data is one number, that of the next batch.
Axes: B rows, S text bytes, L decoder steps, C codebooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.model.config import DiaConfig
from rosella.shards.read import Export
from rosella.training.order import Planned, Split

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


CodesOf = Callable[[int], np.ndarray]


def codes_reader(export: Export, split: Split) -> CodesOf:
    """Codes uint16 [frames, C] by position in the split, from memory where they fit."""
    if int(split.frames.sum()) * export.codec.num_codebooks > CODES_IN_MEMORY:
        return lambda position: export.codes(int(split.rows[position]))
    return [export.codes(int(row)) for row in split.rows].__getitem__


def take_rows(planned: Planned, rows: np.ndarray) -> Planned:
    """The same batch with only those of its rows; numbers beyond its end are empty rows."""
    have = len(planned.members)
    members = np.where(rows < have, planned.members[np.minimum(rows, have - 1)], -1)
    return planned._replace(members=members)


def assemble(codes: CodesOf, split: Split, config: DiaConfig, planned: Planned) -> Batch:
    """Pad the utterances of one planned batch. An empty row has a weight of 0 and a text of one zero."""
    decoder, bucket = config.decoder, planned.bucket
    ids = [split.texts[i] if i >= 0 else np.zeros(1, np.int32) for i in planned.members]
    text_ids, lengths = dialogue.pad_batch(ids, bucket.text_bytes)
    shape = (len(planned.members), 1 + config.steps(bucket.frames), decoder.num_channels)
    sequences = np.full(shape, decoder.pad_token_id, np.int32)
    for row, i in enumerate(planned.members):
        if i >= 0:
            sequence = config.delayed(codes(int(i)), end=True)
            sequences[row, : len(sequence)] = sequence
    weights = np.where(planned.members >= 0, split.loss_weights[planned.members], 0).astype(np.float32)
    return Batch(text_ids, lengths, sequences[:, :-1], sequences[:, 1:], weights)


def stream(planned: Sequence[Planned], read: Callable[[Planned], Batch]) -> Any:
    """A Grain iterator of batches, read ahead in threads; `get_state()` is `{"next_index": n}`."""
    import grain

    dataset = grain.MapDataset.source(planned).map(read)
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)))
