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
        return State(none, tokens, jnp.asarray(prompts.frames + request.limits), none.astype(bool), cache)

    def step(self, request: Request, state: State) -> State:
        """The next row of every sequence."""
        states, cache = self._model.step(self._doubled(state.tokens)[:, None], state.cache, self._weights)
        keys = jax.vmap(jax.random.fold_in)(request.keys, state.step)
        eos, logits = self._model.config.decoder.eos_token_id, self._model.logits(states, self._weights)
        chosen = choose(logits[:, 0], keys, request.numbers, self._filters, eos)
        return self._advanced(request.prompts, state._replace(cache=cache), chosen)

    def advance(
        self, request: Request, state: State, written: jax.Array, taken: jax.Array, until: jax.Array
    ) -> tuple[State, jax.Array, jax.Array]:
        """Steps from number `taken` to `until`, or to the end of all rows: state, rows written [steps, B, C], number."""

        def goes_on(carried: tuple[State, jax.Array, jax.Array]) -> jax.Array:
            return jnp.any(self.unfinished(request, carried[0])) & (carried[2] < until)

        def step(carried: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
            before, written, number = carried
            after = self.step(request, before)
            written = jax.lax.dynamic_update_index_in_dim(written, after.tokens, number, 0)
            return after, written, number + 1

        return jax.lax.while_loop(goes_on, step, (state, written, taken))

    def unfinished(self, request: Request, state: State) -> jax.Array:
        """Rows bool [B] of which a codebook is still to be generated."""
        return state.step + request.prompts.frames - self._delays.max() < state.ends

    def _advanced(self, prompts: Prompts, state: State, chosen: jax.Array) -> State:
        """Applies what the delay pattern dictates to the chosen ids: begin and prompt, end and padding."""
        decoder = self._model.config.decoder
        frames = (prompts.frames + state.step)[:, None] - self._delays
        ended = (chosen[:, 0] == decoder.eos_token_id) & (frames[:, 0] <= state.ends)
        ends = jnp.where(ended, frames[:, 0], state.ends)
        tokens = jnp.where(frames == ends[:, None], decoder.eos_token_id, chosen)
        tokens = jnp.where(frames > ends[:, None], decoder.pad_token_id, tokens)
        at = jnp.minimum(state.step, prompts.dictated.shape[1] - 1)
        dictated = jnp.take_along_axis(jnp.asarray(prompts.dictated), at[:, None, None], 1)[:, 0]
        tokens = jnp.where(dictated == decoder.pad_token_id, tokens, dictated)
        return State(state.step + 1, tokens, ends, state.stopped | ended, state.cache)

    def _doubled(self, x: jax.Array | np.ndarray) -> jax.Array:
        """Each row once more for the unconditional half, where there is guidance."""
        return jnp.concatenate([x, x]) if self._filters.guided else jnp.asarray(x)


def row_keys(seeds: Sequence[int] | np.ndarray) -> jax.Array:
    """The random keys of rows [B]."""
    return jax.vmap(jax.random.key)(np.array([int(seed) % 2**32 for seed in seeds], np.uint32))
