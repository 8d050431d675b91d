"""Generations that share one batch, computed by JAX: a table whose rows are at steps, or in blocks, of their own.

Axes: B places, S text bytes, C codebooks.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.inference import seats
from rosella.inference.blocks import decoding_by
from rosella.inference.decoding import Request, State, program, row_keys
from rosella.inference.generate import prepared
from rosella.inference.layout import Prompt, lay_out, pad_text, text_width
from rosella.inference.seats import CHUNK
from rosella.inference.settings import Blocks, Filters, Sampling
from rosella.model.transformer import DecodingWeights, Dia

_NEVER = -(2**30)
"""The frame in which a place ends that nobody sits at."""


class Places(NamedTuple):
    """What is at the places: every array but those that are the table's own holds B rows, or 2 B (each once more)."""

    request: Request
    state: State


class Table(seats.Table[Places]):
    """Rows of a model's cached steps, or blocks of them: a chunk is one device program."""

    def __init__(
        self, model: Dia, sampling: Sampling, places: int, weights: DecodingWeights | None = None
    ) -> None:
        """`weights` are the model's own, where they are `prepared`."""
        at_once = sampling.at_once
        super().__init__(model.config, places, -(-CHUNK // at_once) * at_once)
        self._sampling = sampling
        self._graph, self._params = nnx.split(model)
        self._weights = prepared(model) if weights is None else weights

    def _begun(self, ids: np.ndarray, prompt: Prompt, frames: int, seed: int) -> Places:
        config, sampling = self._config, self._sampling
        limits = jnp.full(1, frames, jnp.int32)
        return _programs().begin(
            self._graph,
            self._params,
            self._weights,
            pad_text(ids[None], config.encoder.max_position_embeddings),
            np.array([len(ids)], np.int32),
            Request(lay_out([prompt], config), limits, row_keys([seed]), sampling.numbers),
            sampling.filters,
            sampling.blocks,
            config.decoder.max_position_embeddings + sampling.at_once - 1,
        )

    def _seated(self, taken: Places, newcomer: Places, place: int) -> Places:
        return _programs().seat(taken, newcomer, place)

    def _picked(self, taken: Places, picks: np.ndarray) -> Places:
        return _programs().pick(taken, picks, len(self._seats))

    def _advanced(self, taken: Places, idle: np.ndarray) -> tuple[Places, np.ndarray, np.ndarray, np.ndarray]:
        longest = max(seat.text_bytes for seat in self.seats)
        width = text_width(longest, self._config.encoder.max_position_embeddings)
        taken, *said = _programs().advance(
            self._graph,
            self._params,
            self._weights,
            taken,
            idle,
            np.int32(self._config.text_keys(width)),
            self._sampling.filters,
            self._sampling.blocks,
            self.chunk,
        )
        written, steps, unfinished, stopped = jax.device_get(said)
        return taken, written[:steps].swapaxes(0, 1), unfinished, stopped


class _Programs(NamedTuple):
    begin: Any
    advance: Any
    seat: Any
    pick: Any


@cache
def _programs() -> _Programs:
    return _Programs(
        program(_begin, static_argnames=("graph", "filters", "blocks", "slots")),
        program(_advance, static_argnames=("graph", "filters", "blocks", "chunk"), donate_argnames="taken"),
        program(_seat, donate_argnames="taken"),
        program(_pick, static_argnames="places"),
    )


def _begin(
    graph: nnx.GraphDef[Dia],
    params: Any,
    weights: DecodingWeights,
    text_ids: jax.Array,
    lengths: jax.Array,
    request: Request,
    filters: Filters,
    blocks: Blocks | None,
    slots: int,
) -> Places:
    """One row before its first step, in a cache of all that the model holds: every row at a table has the same shapes."""
    model = nnx.merge(graph, params)
    keys = model.config.text_keys(model.config.encoder.max_position_embeddings)
    state = decoding_by(blocks, model, weights, filters).begin(text_ids, lengths, request, slots, keys)
    # Steps read nothing of these rows, whose width is that of the prompt.
    read = request.prompts._replace(rows=jnp.asarray(request.prompts.rows[:, :0]))
    return Places(request._replace(prompts=read), state)


def _advance(
    graph: nnx.GraphDef[Dia],
    params: Any,
    weights: DecodingWeights,
    taken: Places,
    idle: jax.Array,
    text_known: jax.Array,
    filters: Filters,
    blocks: Blocks | None,
    chunk: int,
) -> tuple[Places, jax.Array, jax.Array, jax.Array, jax.Array]:
    """A chunk of steps: places, rows written [chunk, B, C], how many, which rows are unfinished, which stopped."""
    decoding = decoding_by(blocks, nnx.merge(graph, params), weights, filters)
    request, state = taken.request, taken.state._replace(ends=jnp.where(idle, _NEVER, taken.state.ends))
    rows = jnp.tile(idle, len(state.cache.filled) // len(idle))
    filled = jnp.where(rows, 0, state.cache.filled)  # an empty place must not have the others read further
    state = state._replace(cache=state.cache._replace(filled=filled, text_known=text_known))
    written = jnp.zeros((chunk, *state.tokens.shape), jnp.int32)
    state, written, steps = decoding.advance(request, state, written, jnp.int32(0), jnp.int32(chunk))
    return Places(request, state), written, steps, decoding.unfinished(request, state), state.stopped


def _seat(taken: Places, newcomer: Places, place: jax.Array) -> Places:
    """The newcomer's row at a place."""

    def put(into: jax.Array, row: jax.Array) -> jax.Array:
        apart = len(into) // len(row)
        for half in range(len(row)):
            at = half * apart + place
            into = jax.lax.dynamic_update_slice_in_dim(into, row[half : half + 1], at, 0)
        return into

    return _by_row(put, taken, newcomer)


def _pick(taken: Places, picks: jax.Array, places: int) -> Places:
    """Other places, each with the row that it picks of these."""

    def pick(rows: jax.Array) -> jax.Array:
        halves = [rows[start + picks] for start in range(0, len(rows), places)]
        return jnp.concatenate(halves)

    return _by_row(pick, taken)


def _by_row(function: Any, taken: Places, *others: Places) -> Places:
    """`function` of every array that holds rows; the others stay the table's own."""

    def parted(places: Places) -> Places:
        request, state = places
        cache = state.cache._replace(text_known=None, silence=None)
        return Places(request._replace(numbers=None), state._replace(cache=cache, prior=None))

    (request, state), whole = jax.tree.map(function, *map(parted, (taken, *others))), taken.state.cache
    cache = state.cache._replace(text_known=whole.text_known, silence=whole.silence)
    state = state._replace(cache=cache, prior=taken.state.prior)
    return Places(request._replace(numbers=taken.request.numbers), state)
