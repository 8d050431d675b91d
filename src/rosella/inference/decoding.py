"""A generation one can hold: `begin` makes its state from texts and prompts, `step` adds a row to the sequence.

Axes: B rows, S text bytes, R sequence rows of the prefill, C codebooks, V ids. A frame is counted from
the start of a row's prompt; step t of the sequence holds, for codebook c, frame t - 1 - delay[c].

Every row is at a step of its own, behind a prompt of its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rosella.inference import steady
from rosella.inference.layout import Prompts
from rosella.inference.sampling import choose
from rosella.inference.settings import Filters, Numbers
from rosella.model.attention import turns_weights
from rosella.model.transformer import Cache, DecodingWeights, Dia


class Request(NamedTuple):
    """What the rows of a generation ask for; stays as it is while they are generated."""

    prompts: Prompts
    limits: jax.Array  # int32 [B], frames at most, without the prompt
    keys: jax.Array  # random keys [B]: a row draws by its own alone
    numbers: Numbers


class State(NamedTuple):
    """What one step hands to the next."""

    step: jax.Array  # int32 [B], generated so far
    tokens: jax.Array  # int32 [B, C], the last row of the sequence
    ends: jax.Array  # int32 [B], the frame in which a row ends
    stopped: jax.Array  # bool [B], the row chose that end itself
    cache: Cache
    places: jax.Array | None = None  # float32 [B, S], how likely each byte is being said (`steady`)
    prior: jax.Array | None = None  # float32 [C, V], of blocks whose confidence is calibrated (`blocks`)


def program(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit(function, **options)` of what takes decoding steps.

    On a CPU its sums may be added in another order, without which they are not vectorised; infinities and what is not a
    number stay what they are.
    """
    reordering = {"xla_cpu_enable_fast_math": True} if turns_weights() else None
    return jax.jit(function, compiler_options=reordering, **options)


class Decoding:
    """The steps of a model, ids chosen by the same filters; made inside a `program` that runs them."""

    def __init__(self, model: Dia, weights: DecodingWeights, filters: Filters) -> None:
        """`weights` are the model's own, from `prepared`."""
        self._model, self._weights, self._filters = model, weights, filters
        self._delays = jnp.asarray(model.config.delay_pattern)
        self._steady = filters.steady and bool(model.config.readers)

    def begin(
        self, text_ids: jax.Array, lengths: jax.Array, request: Request, slots: int, text_slots: int
    ) -> State:
        """The state before the first step, for padded texts [B, S]; a prompt with all its steps fills at most `slots`."""
        text, prompts = self._model.encode(text_ids, lengths), request.prompts
        rows, frames = self._doubled(prompts.rows), self._doubled(prompts.frames)
        cache = self._model.start(text, len(rows), slots, self._weights, text_slots)
        if rows.shape[1] > 1:
            _, cache = self._model.step(rows[:, :-1], cache, self._weights)
        cache = cache._replace(filled=frames)  # what lies behind a shorter prompt is written over
        count, last = len(prompts.frames), jnp.asarray(prompts.frames)[:, None, None]
        tokens = jnp.take_along_axis(jnp.asarray(prompts.rows), last, 1)[:, 0]
        none = jnp.zeros(count, jnp.int32)
        places = steady.start(prompts.said, cache.text_bias.shape[3]) if self._steady else None
        ends = jnp.asarray(prompts.frames + request.limits)
        return State(none, tokens, ends, none.astype(bool), cache, places)

    def step(self, request: Request, state: State) -> tuple[State, jax.Array]:
        """The next row of every sequence, int32 [1, B, C] after the state; of `blocks` several."""
        states, state = self._read(self._doubled(state.tokens)[:, None], state)
        after = self._advanced(request, state, states)
        return after, after.tokens[None]

    def advance(
        self, request: Request, state: State, written: jax.Array, taken: jax.Array, until: jax.Array
    ) -> tuple[State, jax.Array, jax.Array]:
        """Steps from number `taken` to `until`, or to the end of all rows: state, rows written [steps, B, C], number.

        The last may be a few more, where several are taken at once.
        """

        def goes_on(carried: tuple[State, jax.Array, jax.Array]) -> jax.Array:
            return jnp.any(self.unfinished(request, carried[0])) & (carried[2] < until)

        def step(carried: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
            before, written, number = carried
            after, rows = self.step(request, before)
            written = jax.lax.dynamic_update_slice_in_dim(written, rows, number, 0)
            return after, written, number + len(rows)

        return jax.lax.while_loop(goes_on, step, (state, written, taken))

    def unfinished(self, request: Request, state: State) -> jax.Array:
        """Rows bool [B] of which a codebook is still to be generated."""
        return state.step + request.prompts.frames - self._delays.max() < state.ends

    def _read(self, tokens: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Decoder states [rows, T, D] of the next T steps [rows, T, C], and the state that knows them."""
        if state.places is None:
            states, cache = self._model.step(tokens, state.cache, self._weights)
            return states, state._replace(cache=cache)
        read = steady.Steady(self._model.config, state.places)
        states, cache = self._model.step(tokens, state.cache, self._weights, read=read)
        return states, state._replace(cache=cache, places=read.places())

    def _advanced(self, request: Request, state: State, states: jax.Array) -> State:
        """The state behind the row that is predicted by the last of decoder states [B, T, D]."""
        keys = jax.vmap(jax.random.fold_in)(request.keys, state.step)
        eos, logits = (
            self._model.config.decoder.eos_token_id,
            self._model.logits(states[:, -1:], self._weights),
        )
        chosen = choose(logits, keys, request.numbers, self._filters, eos)
        ends, ended = self._ending(request.prompts, state.step, chosen, state.ends)
        tokens = self._prescribe(request.prompts, state.step, chosen, ends)[:, 0]
        return state._replace(step=state.step + 1, tokens=tokens, ends=ends, stopped=state.stopped | ended)

    def _ending(
        self, prompts: Prompts, step: jax.Array, chosen: jax.Array, ends: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Where rows end [B] by ids [B, T, C] that were chosen from step [B] on, and which chose that."""
        frames = self._frames(prompts, step, chosen.shape[1])[:, :, 0]
        ended = (chosen[:, :, 0] == self._model.config.decoder.eos_token_id) & (frames <= ends[:, None])
        return jnp.min(jnp.where(ended, frames, ends[:, None]), 1), jnp.any(ended, 1)

    def _prescribe(self, prompts: Prompts, step: jax.Array, ids: jax.Array, ends: jax.Array) -> jax.Array:
        """Ids [B, T, C] from step [B] on, and in their places what the delay pattern dictates: begin and prompt, end and
        padding.
        """
        decoder, steps, ends = self._model.config.decoder, ids.shape[1], ends[:, None, None]
        frames = self._frames(prompts, step, steps)
        ids = jnp.where(frames == ends, decoder.eos_token_id, ids)
        ids = jnp.where(frames > ends, decoder.pad_token_id, ids)
        at = jnp.minimum(step[:, None] + jnp.arange(steps), prompts.dictated.shape[1] - 1)
        dictated = jnp.take_along_axis(jnp.asarray(prompts.dictated), at[:, :, None], 1)
        return jnp.where(dictated == decoder.pad_token_id, ids, dictated)

    def _frames(self, prompts: Prompts, step: jax.Array, steps: int) -> jax.Array:
        """The frames [B, T, C] that the rows hold which are so many from step [B] on."""
        return (step + prompts.frames)[:, None, None] + jnp.arange(steps)[:, None] - self._delays

    def _doubled(self, x: jax.Array | np.ndarray) -> jax.Array:
        """Each row once more for the unconditional half, where there is guidance."""
        return jnp.concatenate([x, x]) if self._filters.guided else jnp.asarray(x)


def row_keys(seeds: Sequence[int] | np.ndarray) -> jax.Array:
    """The random keys of rows [B]."""
    return jax.vmap(jax.random.key)(np.array([int(seed) % 2**32 for seed in seeds], np.uint32))
