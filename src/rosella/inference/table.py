"""Generations that join one batch and leave it again while it takes its steps.

A row draws by its own seed and is at a step of its own, so that what it says does not depend on who is beside it.

Axes: B places, S text bytes, C codebooks.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.inference.blocks import decoding_by
from rosella.inference.decoding import Request, State, program, row_keys
from rosella.inference.generate import prepared
from rosella.inference.layout import Generation, codes_of, lay_out, pad_text, require_room
from rosella.inference.settings import Blocks, Filters, Sampling
from rosella.model.config import DiaConfig
from rosella.model.transformer import DecodingWeights, Dia

CHUNK = 8
"""Steps between two moments at which rows may join and leave, at least."""
_NEVER = -(2**30)
"""The frame in which a place ends that nobody sits at."""


class Places(NamedTuple):
    """What is at the places: every array but those that are the table's own holds B rows, or 2 B (each once more)."""

    request: Request
    state: State


class Seat:
    """One generation at a table, until it has `finished`."""

    def __init__(self, config: DiaConfig, prompt: np.ndarray, limit: int, text_known: int) -> None:
        self._config, self._prompt, self._limit = config, prompt, limit
        self._rows = [np.zeros((0, config.decoder.num_channels), np.int32)]
        self._stopped = False
        self.text_known, self.step, self.finished = text_known, 0, False

    def take(self, rows: np.ndarray, stopped: bool, finished: bool) -> None:
        """Sequence rows int32 [steps, C] that were written for it."""
        self._rows = [*self._rows, rows]  # anew, for who reads it in another thread
        self.step += len(rows)
        self._stopped, self.finished = stopped, finished

    def so_far(self) -> Generation:
        """The frames of which every codebook is known, as a batch of one."""
        tokens = np.concatenate(self._rows)
        codes = codes_of(tokens, self._prompt, self._config)[: self._limit]
        return Generation([codes], np.array([self._stopped]), tokens[None])


class Table:
    """A batch of at most `places` rows; as many are computed as sit there, rounded up to a doubling."""

    def __init__(
        self, model: Dia, sampling: Sampling, places: int, weights: DecodingWeights | None = None
    ) -> None:
        """`weights` are the model's own, where they are `prepared`."""
        self.places, self._config, self._sampling = places, model.config, sampling
        self._graph, self._params = nnx.split(model)
        self._weights = prepared(model) if weights is None else weights
        self._taken: Places | None = None
        self._seats: list[Seat | None] = []

    @property
    def chunk(self) -> int:
        """Steps that `advance` takes: whole blocks."""
        at_once = self._sampling.at_once
        return -(-CHUNK // at_once) * at_once

    @property
    def seats(self) -> list[Seat]:
        """Those who sit there."""
        return [seat for seat in self._seats if seat is not None]

    def join(self, ids: np.ndarray, prompt: np.ndarray | None, frames: int, seed: int) -> Seat:
        """Begin a text, byte ids int32 [S], behind a prompt [frames, C]; UserError where the model has no room for it.

        There must be a free place.
        """
        config, most = self._config, self._config.encoder.max_position_embeddings
        if prompt is None:
            prompt = np.zeros((0, config.decoder.num_channels), np.int32)
        require_room(config, len(ids), np.array([frames]), [prompt])
        text = pad_text(ids[None], most)
        request = Request(
            lay_out([prompt], config),
            jnp.full(1, frames, jnp.int32),
            row_keys([seed]),
            self._sampling.numbers,
        )
        newcomer = _programs().begin(
            self._graph,
            self._params,
            self._weights,
            text,
            np.array([len(ids)], np.int32),
            request,
            self._sampling.filters,
            self._sampling.blocks,
            config.decoder.max_position_embeddings + self._sampling.at_once - 1,
        )
        seat = Seat(config, prompt, frames, config.text_keys(text.shape[1]))
        self._sit(seat, newcomer)
        return seat

    def advance(self) -> None:
        """Take a chunk of steps for all who sit there; those who have finished leave."""
        if self._taken is None:
            return
        self._move_together()
        idle = np.array([seat is None for seat in self._seats])
        known = np.int32(max(seat.text_known for seat in self.seats))
        self._taken, *said = _programs().advance(
            self._graph,
            self._params,
            self._weights,
            self._taken,
            idle,
            known,
            self._sampling.filters,
            self._sampling.blocks,
            self.chunk,
        )
        written, steps, unfinished, stopped = jax.device_get(said)
        for place, seat in enumerate(self._seats):
            if seat is not None:
                seat.take(written[:steps, place], bool(stopped[place]), not unfinished[place])
                if seat.finished:
                    self.leave(seat)

    def leave(self, seat: Seat) -> None:
        """Free the place of one who sits there; of anybody else nothing."""
        self._seats = [None if each is seat else each for each in self._seats]
        if not self.seats:
            self._seats, self._taken = [], None

    def _sit(self, seat: Seat, newcomer: Places) -> None:
        if self._taken is None:
            self._taken, self._seats = newcomer, [seat]
            return
        if None not in self._seats:
            self._resize(min(2 * len(self._seats), self.places))
        place = self._seats.index(None)
        self._taken = _programs().seat(self._taken, newcomer, place)
        self._seats[place] = seat

    def _move_together(self) -> None:
        """Half of the places at most stand empty."""
        half = (len(self._seats) + 1) // 2
        if len(self._seats) > 1 and len(self.seats) <= half:
            self._resize(half)

    def _resize(self, places: int) -> None:
        kept = [place for place, seat in enumerate(self._seats) if seat is not None]
        picks = (kept + [0] * places)[:places]
        self._taken = _programs().pick(self._taken, np.array(picks), len(self._seats))
        self._seats = (self.seats + [None] * places)[:places]


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
