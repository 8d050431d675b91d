"""Utterances: encoder and prefill as one program, and a `lax.while_loop` of cached steps as another.

The loop stays on the device for as many steps as it is told, all of them or a few at a time: what is heard as it comes is
what is heard at the end, to the bit.

Axes: B rows, S text bytes, C codebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.inference.blocks import decoding_by
from rosella.inference.decoding import Request, State, program, row_keys
from rosella.inference.layout import (
    SLOTS,
    Generation,
    Prompt,
    codes_of,
    doubled,
    lay_out,
    no_prompt,
    pad_text,
    require_room,
)
from rosella.inference.settings import Blocks, Filters, Sampling
from rosella.model.transformer import DecodingWeights, Dia


def generate(
    model: Dia,
    text_ids: np.ndarray,
    lengths: np.ndarray,
    *,
    max_frames: int | Sequence[int],
    prompts: Sequence[Prompt] | None = None,
    sampling: Sampling = Sampling(),
    seeds: Sequence[int] | np.ndarray | None = None,
    weights: DecodingWeights | None = None,
) -> Generation:
    """Codes for padded texts [B, S], at most `max_frames` frames a row.

    `prompts` are what each row goes on from (its text then begins with what they say); row b draws by seeds[b]
    (default b) alone. `weights` are the model's own, where they are `prepared`. UserError where the model has no room.
    """
    running = Running(model, text_ids, lengths, max_frames, prompts, sampling, seeds, weights)
    running.advance()
    return running.so_far()


class Running:
    """A generation under way, with the arguments of `generate`; `advance` takes steps, `so_far` says what is known."""

    def __init__(
        self,
        model: Dia,
        text_ids: np.ndarray,
        lengths: np.ndarray,
        max_frames: int | Sequence[int],
        prompts: Sequence[Prompt] | None = None,
        sampling: Sampling = Sampling(),
        seeds: Sequence[int] | np.ndarray | None = None,
        weights: DecodingWeights | None = None,
        roomy: bool = False,
    ) -> None:
        """`roomy` has the steps of every text and prompt taken by one program, with a cache of all that the model holds."""
        config, rows = model.config, len(lengths)
        if prompts is None:
            prompts = [no_prompt(config)] * rows
        self._config, self._prompts = config, prompts
        self._filters, self._blocks = sampling.filters, sampling.blocks
        self._limits = np.broadcast_to(np.asarray(max_frames, np.int32), rows)
        require_room(config, text_ids.shape[1], self._limits, prompts)
        keys = row_keys(range(rows) if seeds is None else seeds)
        request = Request(lay_out(prompts, config), jnp.asarray(self._limits), keys, sampling.numbers)
        self._steps = int(self._limits.max()) + config.longest_delay
        most = config.encoder.max_position_embeddings
        texts = pad_text(text_ids, most), jnp.asarray(lengths, jnp.int32)
        self._graph, self._params = nnx.split(model)
        self._weights = prepared(model) if weights is None else weights
        begin, self._advance = _programs()
        beyond = sampling.at_once - 1  # of a last block
        slots = config.decoder.max_position_embeddings + beyond
        if not roomy:
            taken = int(request.prompts.frames.max()) + self._steps + beyond
            slots = doubled(max(request.prompts.rows.shape[1], taken), SLOTS)
        self._state, self._written = begin(
            self._graph,
            self._params,
            self._weights,
            *texts,
            request,
            self._filters,
            self._blocks,
            slots,
            config.text_keys(most) if roomy else 0,
        )
        # Steps read nothing of these rows: without them, prompts of any width share one program.
        read = request.prompts._replace(rows=request.prompts.rows[:, :0])
        self._request = request._replace(prompts=read)
        self.step, self.finished = 0, False

    def advance(self, steps: int | None = None) -> None:
        """Take so many steps more, in whole blocks, or all that are left."""
        until = self._steps if steps is None else self.step + steps
        self._state, self._written, taken, left = self._advance(
            self._graph,
            self._params,
            self._weights,
            self._request,
            self._state,
            self._written,
            jnp.int32(self.step),
            jnp.int32(until),
            self._filters,
            self._blocks,
        )
        self.step, self.finished = int(taken), not bool(left)

    def so_far(self) -> Generation:
        """The frames of which every codebook is known."""
        tokens = np.asarray(self._written)[: self.step].transpose(1, 0, 2)
        rows = zip(tokens, self._prompts, self._limits, strict=True)
        codes = [codes_of(row, prompt, self._config)[:limit] for row, prompt, limit in rows]
        return Generation(codes, np.asarray(self._state.stopped), tokens)


def prepared(model: Dia, int8: bool = False) -> DecodingWeights:
    """The model's weights as its steps want them, to be made once for many generations; a copy of the decoder's."""
    return _preparation()(*nnx.split(model), int8)


@cache
def _preparation() -> Any:
    def prepare(graph: nnx.GraphDef[Dia], params: Any, int8: bool) -> DecodingWeights:
        return nnx.merge(graph, params).decoding_weights(int8)

    return jax.jit(prepare, static_argnames=("graph", "int8"))


@cache
def _programs() -> tuple[Any, Any]:
    begin = program(_begin, static_argnames=("graph", "filters", "blocks", "slots", "text_slots"))
    advance = program(
        _advance, static_argnames=("graph", "filters", "blocks"), donate_argnames=("state", "written")
    )
    return begin, advance


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
    text_slots: int,
) -> tuple[State, jax.Array]:
    """The state before the first step, and room for the sequence rows that are to be written [slots, B, C]."""
    decoding = decoding_by(blocks, nnx.merge(graph, params), weights, filters)
    state = decoding.begin(text_ids, lengths, request, slots, text_slots)
    return state, jnp.zeros((slots, *state.tokens.shape), jnp.int32)


def _advance(
    graph: nnx.GraphDef[Dia],
    params: Any,
    weights: DecodingWeights,
    request: Request,
    state: State,
    written: jax.Array,
    taken: jax.Array,
    until: jax.Array,
    filters: Filters,
    blocks: Blocks | None,
) -> tuple[State, jax.Array, jax.Array, jax.Array]:
    """Steps from number `taken` to `until`, or to the end: state, rows written, number, and whether any are left."""
    decoding = decoding_by(blocks, nnx.merge(graph, params), weights, filters)
    state, written, taken = decoding.advance(request, state, written, taken, until)
    return state, written, taken, jnp.any(decoding.unfinished(request, state))
