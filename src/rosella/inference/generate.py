"""Whole utterances: encoder, prefill and a `lax.while_loop` of cached steps, jitted as one function.

Axes: B rows, S text bytes, C codebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import delay
from rosella.errors import UserError
from rosella.inference.decoding import Decoding, Request, State, lay_out, program, row_keys
from rosella.inference.sampling import Filters, Sampling
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia

TEXT_STEP, FRAME_STEP = 64, 128  # shapes are rounded up to these, so that few are compiled


@dataclass(frozen=True)
class Generation:
    """What was generated for each row, without its prompt."""

    codes: list[np.ndarray]  # uint16 [frames, C]
    stopped: np.ndarray  # bool [B], the row ended by itself
    tokens: np.ndarray  # int32 [B, steps, C], the sequences as written: delayed, ends and padding included


def generate(
    model: Dia,
    text_ids: np.ndarray,
    lengths: np.ndarray,
    *,
    max_frames: int | Sequence[int],
    prompts: Sequence[np.ndarray] | None = None,
    sampling: Sampling = Sampling(),
    seeds: Sequence[int] | np.ndarray | None = None,
) -> Generation:
    """Codes for padded texts [B, S], at most `max_frames` frames a row.

    `prompts` are codes [frames, C] per row to go on from (the text then begins with theirs); row b draws by seeds[b]
    (default b) alone. UserError where the model has no room.
    """
    config, rows = model.config, len(lengths)
    if prompts is None:
        prompts = [np.zeros((0, config.decoder.num_channels), np.int32)] * rows
    limits = np.broadcast_to(np.asarray(max_frames, np.int32), rows)
    _check_room(config, text_ids.shape[1], limits, prompts)
    keys = row_keys(range(rows) if seeds is None else seeds)
    request = Request(lay_out(prompts, config), jnp.asarray(limits), keys, sampling.numbers)
    steps = _round_up(int(limits.max()) + config.longest_delay, FRAME_STEP)
    texts = _pad_text(text_ids), jnp.asarray(lengths, jnp.int32)
    written, count, stopped = _runs()(*nnx.split(model), *texts, request, sampling.filters, steps)
    tokens = np.asarray(written)[: int(count)].transpose(1, 0, 2)
    codes = [
        _codes(row, prompt, config)[:limit]
        for row, prompt, limit in zip(tokens, prompts, limits, strict=True)
    ]
    return Generation(codes, np.asarray(stopped), tokens)


@cache
def _runs() -> Any:
    return program(_run, static_argnames=("graph", "filters", "steps"))


def _run(
    graph: nnx.GraphDef[Dia],
    weights: Any,
    text_ids: jax.Array,
    lengths: jax.Array,
    request: Request,
    filters: Filters,
    steps: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The whole generation: the sequence rows written [steps, B, C], how many they are, and who stopped."""
    decoding = Decoding(nnx.merge(graph, weights), filters)
    state = decoding.begin(text_ids, lengths, request, steps)

    def unfinished(carried: tuple[State, jax.Array]) -> jax.Array:
        return jnp.any(decoding.unfinished(request, carried[0]))

    def step(carried: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        before, written = carried
        after = decoding.step(request, before)
        return after, jax.lax.dynamic_update_index_in_dim(written, after.tokens, before.step, 0)

    written = jnp.zeros((steps, *state.tokens.shape), jnp.int32)
    state, written = jax.lax.while_loop(unfinished, step, (state, written))
    return written, state.step, state.stopped


def _codes(generated: np.ndarray, prompt: np.ndarray, config: DiaConfig) -> np.ndarray:
    sequence = np.concatenate([config.delayed(prompt, end=False)[: len(prompt) + 1], generated])
    codes, _ = delay.undo(sequence, config.delay_pattern, config.decoder.eos_token_id)
    return codes[len(prompt) :].astype(np.uint16)


def _pad_text(text_ids: np.ndarray) -> np.ndarray:
    return np.pad(text_ids, ((0, 0), (0, _round_up(text_ids.shape[1], TEXT_STEP) - text_ids.shape[1])))


def _check_room(
    config: DiaConfig, text_bytes: int, limits: np.ndarray, prompts: Sequence[np.ndarray]
) -> None:
    if text_bytes > config.encoder.max_position_embeddings:
        raise UserError(
            f"The text has {text_bytes} bytes and the model reads at most "
            f"{config.encoder.max_position_embeddings}; shorten or split it."
        )
    for limit, frames in zip(limits, map(len, prompts), strict=True):
        if not 1 <= limit <= config.room(frames):
            raise UserError(
                f"{limit} frames were asked for and the model has room for 1 to {config.room(frames)} after "
                f"{frames} of prompt; ask for fewer, or shorten the prompt."
            )


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
