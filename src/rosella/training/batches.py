"""Batches of an export, in the order planned: Grain assembles them ahead of the step in threads.

The state of the data is one number, that of the next batch.
Axes: B rows, P places for utterances in a row, S text bytes, L decoder steps, C codebooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.model.config import DiaConfig
from rosella.shards.read import Export
from rosella.training.order import Bucket, Planned, Split

THREADS, AHEAD = 1, 4
CODES_IN_MEMORY = 1 << 29
"""Codes (1 GiB) up to which a split is read once and kept; beyond, every utterance is read from its shard."""


class Batch(NamedTuple):
    """The utterances of a row lie one behind the other, texts and sequences alike.

    `tokens` and `targets` are one delayed sequence, shifted by one step against each other.
    """

    text_ids: Any  # int32 [B, S]
    text_lengths: Any  # int32 [B, P]
    tokens: Any  # int32 [B, L, C]
    targets: Any  # int32 [B, L, C]
    steps: Any  # int32 [B, P], of L
    weights: Any  # float32 [B, P], how much an utterance counts in the loss


CodesOf = Callable[[int], np.ndarray]


def codes_reader(export: Export, split: Split) -> CodesOf:
    """Codes uint16 [frames, C] by position in the split, from memory where they fit."""
    if int(split.frames.sum()) * export.codec.num_codebooks > CODES_IN_MEMORY:
        return lambda position: export.codes(int(split.rows[position]))
    return [export.codes(int(row)) for row in split.rows].__getitem__


def take_rows(planned: Planned, rows: np.ndarray) -> Planned:
    """The same batch with only those of its rows; numbers beyond its end are empty rows."""
    have = len(planned.members)
    members = np.where((rows < have)[:, None], planned.members[np.minimum(rows, have - 1)], -1)
    return planned._replace(members=members)


def assemble(codes: CodesOf, split: Split, config: DiaConfig, planned: Planned) -> Batch:
    """Lay the utterances of one planned batch out."""
    empty = blank(config, planned.bucket, len(planned.members))
    for row, members in enumerate(planned.members):
        _lay_out(Batch(*(leaf[row] for leaf in empty)), codes, split, config, members[members >= 0])
    return empty


def blank(config: DiaConfig, bucket: Bucket, rows: int) -> Batch:
    """Empty rows of a shape. What fills one is a text of one zero, with a weight of 0."""
    decoder = config.decoder
    sequences, places = (rows, config.steps(bucket.frames), decoder.num_channels), (rows, bucket.places)
    empty = Batch(
        text_ids=np.full((rows, bucket.text_bytes), dialogue.PADDING, np.int32),
        text_lengths=np.zeros(places, np.int32),
        tokens=np.full(sequences, decoder.pad_token_id, np.int32),
        targets=np.full(sequences, decoder.pad_token_id, np.int32),
        steps=np.zeros(places, np.int32),
        weights=np.zeros(places, np.float32),
    )
    empty.text_lengths[:, 0] = 1
    return empty


def _lay_out(row: Batch, codes: CodesOf, split: Split, config: DiaConfig, members: np.ndarray) -> None:
    """Write utterances into one row of a batch, one behind the other."""
    letter = step = 0
    for place, i in enumerate(members.tolist()):
        ids, sequence = split.texts[i], config.delayed(codes(i), end=True)
        row.text_ids[letter : letter + len(ids)] = ids
        steps = len(sequence) - 1
        row.tokens[step : step + steps], row.targets[step : step + steps] = sequence[:-1], sequence[1:]
        row.text_lengths[place], row.steps[place] = len(ids), steps
        row.weights[place] = split.loss_weights[i]
        letter, step = letter + len(ids), step + steps


def stream(planned: Sequence[Planned], read: Callable[[Planned], Batch]) -> Any:
    """A Grain iterator of batches, read ahead in threads; `get_state()` is `{"next_index": n}`."""
    import grain

    dataset = grain.MapDataset.source(planned).map(read)
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)))
