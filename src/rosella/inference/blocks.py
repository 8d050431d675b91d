"""Many steps at once: discrete diffusion within a block, a cache between blocks (BD3-LM, arXiv 2503.09573).

Step t of a sequence predicts the ids of step t + 1. So of a block of D steps the ids of the first are known, those of the
others hidden; each pass shows the block to the model in both directions, and some of them become known. A last pass,
causal, reads the block as the autoregressive model would: it fills the cache and predicts the first ids of the next.

Axes: B rows, T the steps of a block but its first, C codebooks, V ids.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rosella.errors import UserError
from rosella.inference import unmasking
from rosella.inference.decoding import Decoding, Request, State
from rosella.inference.sampling import choose
from rosella.inference.settings import Blocks, Filters
from rosella.inference.steady import Steady
from rosella.model.attention import Attention
from rosella.model.transformer import Cache, DecodingWeights, Dia

_FAR = 2**30
"""The frame in which a row ends that has not ended: a block is not told of the limit that will cut it off."""


_HIDDEN = -1


class Guess(NamedTuple):
    """A block between two passes."""

    number: jax.Array  # int32, passes taken
    ids: jax.Array  # int32 [B, T, C], some hidden
    ends: jax.Array  # int32 [B], the frame in which a row ends
    least: jax.Array  # float32 [B], how sure an id must be to become known early
    cache: Cache


def decoding_by(blocks: Blocks | None, model: Dia, weights: DecodingWeights, filters: Filters) -> Decoding:
    """The steps of a model, one by one or in blocks."""
    if blocks is None:
        return Decoding(model, weights, filters)
    return BlockDecoding(blocks, model, weights, filters)


class BlockDecoding(Decoding):
    """`Decoding` of which a step is a whole block."""

    def __init__(self, blocks: Blocks, model: Dia, weights: DecodingWeights, filters: Filters) -> None:
        most = model.config.decoder.max_position_embeddings
        if blocks.size > most:
            raise UserError(
                f"Blocks of {blocks.size} steps are more than the {most} that the model holds: choose fewer."
            )
        super().__init__(model, weights, filters)
        self._blocks = blocks

    def begin(
        self, text_ids: jax.Array, lengths: jax.Array, request: Request, slots: int, text_slots: int
    ) -> State:
        state = super().begin(text_ids, lengths, request, slots, text_slots)
        return state if self._blocks.rule == "confidence" else state._replace(prior=self._prior())

    def step(self, request: Request, state: State) -> tuple[State, jax.Array]:
        """The next block of every sequence, int32 [D, B, C] after the state."""
        request = self._cooled(request)
        guess = self._first(request, state)
        if guess.ids.size:
            better = partial(self._better, request, state)
            guess = jax.lax.while_loop(lambda guess: jnp.any(guess.ids == _HIDDEN), better, guess)
        return self._finished(request, state, guess)

    def _first(self, request: Request, state: State) -> Guess:
        """All that the delay pattern leaves open is hidden."""
        rows, codebooks = state.tokens.shape
        ends = jnp.where(state.stopped | ~self.unfinished(request, state), state.ends, _FAR)
        nothing = jnp.full((rows, self._blocks.size - 1, codebooks), _HIDDEN)
        ids = self._prescribe(request.prompts, state.step, nothing, ends)
        return Guess(jnp.int32(0), ids, ends, jnp.full(rows, jnp.inf), state.cache)

    def _better(self, request: Request, state: State, guess: Guess) -> Guess:
        """The block after one more pass."""
        known = self._block(state, guess), guess.cache, self._weights
        read = Attention.output if state.places is None else Steady(self._model.config, state.places)
        states, cache = self._model.step(*known, together=True, read=read)
        chosen, scores = self._choose(request, state, guess, states)
        taken, least = self._taken(scores, guess)
        ids = jnp.where(taken, chosen, guess.ids)
        ends, _ = self._ending(request.prompts, state.step, ids, guess.ends)
        ids = self._prescribe(request.prompts, state.step, ids, ends)
        # Its keys and values are written over by the next pass.
        return Guess(guess.number + 1, ids, ends, least, cache._replace(filled=state.cache.filled))

    def _choose(
        self, request: Request, state: State, guess: Guess, states: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """An id for each there is [B, T, C], and how sure it is: guidance acts on what is chosen, not on that."""
        logits = self._model.logits(states[:, :-1], self._weights)
        keys = jax.vmap(jax.random.fold_in)(request.keys, state.step)
        keys = jax.vmap(jax.random.fold_in, (0, None))(keys, guess.number)
        eos = self._model.config.decoder.eos_token_id
        chosen = choose(logits, keys, request.numbers, self._filters, eos)
        return chosen, unmasking.confidence(logits[: len(chosen)], chosen, state.prior)

    def _taken(self, scores: jax.Array, guess: Guess) -> tuple[jax.Array, jax.Array]:
        """Which ids become known, and how sure one must be to become so early."""
        blocks, hidden = self._blocks, guess.ids == _HIDDEN
        due = unmasking.due(hidden, guess.number, blocks.passes)
        taken = unmasking.surest(scores, hidden, due, blocks.order)
        if blocks.early is None:
            return taken, guess.least
        least = jnp.where(guess.number == 0, unmasking.bar(scores, hidden, blocks.early), guess.least)
        return unmasking.early(scores, hidden, taken, least, blocks.order), least

    def _finished(self, request: Request, state: State, guess: Guess) -> tuple[State, jax.Array]:
        """The state behind a block of which no id is hidden, and all its rows: cut at their limits at the latest."""
        stopped = state.stopped | ((guess.ends <= state.ends) & self.unfinished(request, state))
        ends = jnp.minimum(guess.ends, state.ends)
        ids = self._prescribe(request.prompts, state.step, guess.ids, ends)
        guess = guess._replace(ids=ids)
        states, state = self._read(self._block(state, guess), state._replace(cache=guess.cache))
        state = state._replace(step=state.step + ids.shape[1], ends=ends, stopped=stopped)
        after = self._advanced(request, state, states)
        return after, jnp.concatenate([ids.swapaxes(0, 1), after.tokens[None]])

    def _block(self, state: State, guess: Guess) -> jax.Array:
        """The whole block as the model reads it [B or 2 B, D, C]."""
        ids = jnp.where(guess.ids == _HIDDEN, self._model.config.decoder.pad_token_id, guess.ids)
        return self._doubled(jnp.concatenate([state.tokens[:, None], ids], 1))

    def _cooled(self, request: Request) -> Request:
        codebooks, numbers = self._model.config.decoder.num_channels, request.numbers
        temperature = unmasking.cooled(numbers.temperature, codebooks, self._blocks.cooling)
        return request._replace(numbers=numbers._replace(temperature=temperature))

    def _prior(self) -> jax.Array:
        """How likely ids are anyway, log p [C, V]: without a text, in a block of which all is hidden."""
        decoder, size = self._model.config.decoder, self._blocks.size
        text = self._model.encode(jnp.zeros((1, 1), jnp.int32), jnp.ones(1, jnp.int32))
        hidden = jnp.full((1, size, decoder.num_channels), decoder.pad_token_id)
        cache = self._model.start(text, 1, size, self._weights)
        states, _ = self._model.step(hidden, cache, self._weights, together=True)
        chances = jax.nn.log_softmax(self._model.logits(states, self._weights)[0], axis=-1)
        return jax.nn.logsumexp(chances, axis=0) - jnp.log(size)
