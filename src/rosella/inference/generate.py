"""Generation: encoder, prefill and a `lax.while_loop` of cached steps, jitted as one function.

Axes: B rows, S text bytes, R sequence rows of the prefill, C codebooks, V ids. A frame is counted from
the start of a row's prompt; step t of the sequence holds, for codebook c, frame t - 1 - delay[c].

Prompts of different lengths are aligned at their right end, so that every row predicts in the same step; what
lies left of a shorter prompt is padding that nobody sees, and a row's own positions start at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import delay
from rosella.errors import UserError
from rosella.inference import sampling
from rosella.model.attention import HIDDEN
from rosella.model.config import DiaConfig
from rosella.model.transformer import Cache, Dia, Text

TEXT_STEP, PROMPT_STEP, FRAME_STEP = 64, 64, 128  # shapes are rounded up to these, so that few are compiled


@dataclass(frozen=True)
class Generation:
    """What was generated for each row, without its prompt."""

    codes: list[np.ndarray]  # uint16 [frames, C]
    stopped: np.ndarray  # bool [B], the row ended by itself
    tokens: np.ndarray  # int32 [B, steps, C], the sequences as written: delayed, ends and padding included


class Prefill(NamedTuple):
    """The prompts as sequences, aligned at their right end."""

    rows: np.ndarray  # int32 [B, R, C], each row's begin and delayed prompt
    dictated: (
        np.ndarray
    )  # int32 [B, steps, C], what the delay of the prompt fixes in the first steps, else padding
    frames: np.ndarray  # int32 [B], frames of the prompt
    start: np.ndarray  # int32 [B], rows of padding before the prompt


class Numbers(NamedTuple):
    """Sampling settings that may change without compiling again."""

    guidance: jax.Array
    temperature: jax.Array
    top_p: jax.Array


class Choice(NamedTuple):
    """Which of the filters are used at all; each combination is compiled by itself."""

    guided: bool
    greedy: bool
    top_k: int | None
    top_p: bool


class State(NamedTuple):
    """What one step hands to the next."""

    step: jax.Array  # int32, generated so far
    tokens: jax.Array  # int32 [B, C], the last row of the sequence
    written: jax.Array  # int32 [steps, B, C]
    ends: jax.Array  # int32 [B], the frame in which a row ends
    stopped: jax.Array  # bool [B], the row chose that end itself
    cache: Cache


def generate(
    model: Dia,
    text_ids: np.ndarray,
    lengths: np.ndarray,
    *,
    max_frames: int,
    prompts: Sequence[np.ndarray] | None = None,
    guidance: float | None = 3.0,
    temperature: float = 1.0,
    top_k: int | None = 50,
    top_p: float | None = 0.95,
    seeds: Sequence[int] | np.ndarray | None = None,
) -> Generation:
    """Codes for padded texts [B, S], at most `max_frames` frames a row.

    `prompts` are codes [frames, C] per row to go on from (the text then begins with theirs). `guidance`
    of None or 1 is none; temperature 0 is greedy; row b draws by seeds[b] (default b) alone. UserError for
    settings out of range.
    """
    config = model.config
    choice, numbers = _settings(guidance, temperature, top_k, top_p)
    if prompts is None:
        prompts = [np.zeros((0, config.decoder.num_channels), np.int32)] * len(lengths)
    _check_room(config, text_ids.shape[1], max_frames, max(map(len, prompts)))
    graph, weights = nnx.split(model)
    written, steps, stopped = _run(
        graph,
        weights,
        _pad_text(text_ids),
        jnp.asarray(lengths, jnp.int32),
        _prefill(prompts, config),
        jnp.int32(max_frames),
        _row_keys(range(len(lengths)) if seeds is None else seeds),
        numbers,
        choice,
        _round_up(max_frames + config.longest_delay, FRAME_STEP),
    )
    rows = np.asarray(written)[: int(steps)].transpose(1, 0, 2)
    codes = [_codes(row, prompt, config)[:max_frames] for row, prompt in zip(rows, prompts, strict=True)]
    return Generation(codes, np.asarray(stopped), rows)


@partial(jax.jit, static_argnames=("graph", "choice", "steps"))
def _run(graph, weights, text_ids, lengths, prefill, max_frames, keys, numbers, choice, steps):
    """The whole generation: the sequence rows written [steps, B, C], how many they are, and who stopped."""
    model = nnx.merge(graph, weights)
    delays = jnp.asarray(model.config.delay_pattern)
    layers, cache = _start(model, text_ids, lengths, prefill, choice.guided, steps)

    def unfinished(state: State) -> jax.Array:
        return jnp.any(prefill.frames + state.step - delays.max() < state.ends)

    def step(state: State) -> State:
        states, cache = model.step(_doubled(state.tokens, choice.guided)[:, None], state.cache, layers)
        row_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, state.step)
        chosen = _choose(model.logits(states)[:, 0], row_keys, numbers, choice, model.config)
        return _advance(state._replace(cache=cache), chosen, prefill, delays, model.config)

    rows, channels = len(lengths), len(model.config.delay_pattern)
    written = jnp.zeros((steps, rows, channels), jnp.int32)
    ends = prefill.frames + max_frames
    state = State(jnp.int32(0), prefill.rows[:, -1], written, ends, jnp.zeros(rows, bool), cache)
    state = jax.lax.while_loop(unfinished, step, state)
    return state.written, state.step, state.stopped


def _start(model: Dia, text_ids, lengths, prefill: Prefill, guided: bool, steps: int):
    """The decoder's layers, and a cache that knows the text and all of the prefill but its last row."""
    text, layers = model.encode(text_ids, lengths), model.decoding_layers()
    if guided:
        text = _with_unconditional(model, text)
    rows, start = _doubled(prefill.rows, guided), _doubled(prefill.start, guided)
    cache = model.start(text, start, rows.shape[1] + steps, layers)
    if rows.shape[1] > 1:
        _, cache = model.step(rows[:, :-1], cache, layers)
    return layers, cache


def _with_unconditional(model: Dia, text: Text) -> Text:
    """Adds as many rows whose text is all zeros, whatever their length.

    Keys of cross-attention carry no position and all states of such a text are equal, so one stands for all.
    """
    zero = model.encode(jnp.zeros((1, 1), jnp.int32), jnp.ones(1, jnp.int32)).states[:, :1]
    only_first = jnp.where(jnp.arange(text.states.shape[1]) == 0, 0.0, HIDDEN)
    states = jnp.concatenate([text.states, jnp.broadcast_to(zero, text.states.shape)])
    return Text(states, jnp.concatenate([text.bias, jnp.broadcast_to(only_first, text.bias.shape)]))


def _choose(logits, keys, numbers: Numbers, choice: Choice, config: DiaConfig) -> jax.Array:
    """Ids [B, C] from logits [B, C, V], or [2 B, C, V] when guided."""
    scores = logits
    if choice.guided:
        conditional, unconditional = jnp.split(logits, 2)
        scores = sampling.guide(conditional, unconditional, numbers.guidance, choice.top_k)
    if choice.greedy:
        return jnp.argmax(sampling.filter_end(scores, config.decoder.eos_token_id), -1).astype(jnp.int32)
    scores = sampling.filter_end(scores / numbers.temperature, config.decoder.eos_token_id)
    if choice.top_k is not None:
        scores = sampling.top_k(scores, choice.top_k)
    if choice.top_p:
        scores = sampling.top_p(scores, numbers.top_p)
    return sampling.draw(scores, keys)


def _advance(state: State, chosen, prefill: Prefill, delays, config: DiaConfig) -> State:
    """Applies what the delay pattern dictates to the chosen ids: begin and prompt, end and padding."""
    decoder = config.decoder
    frames = (prefill.frames + state.step)[:, None] - delays
    ended = (chosen[:, 0] == decoder.eos_token_id) & (frames[:, 0] <= state.ends)
    ends = jnp.where(ended, frames[:, 0], state.ends)
    tokens = jnp.where(frames == ends[:, None], decoder.eos_token_id, chosen)
    tokens = jnp.where(frames > ends[:, None], decoder.pad_token_id, tokens)
    at = jnp.minimum(state.step, prefill.dictated.shape[1] - 1)
    dictated = jax.lax.dynamic_index_in_dim(prefill.dictated, at, 1, keepdims=False)
    tokens = jnp.where(dictated == decoder.pad_token_id, tokens, dictated)
    written = jax.lax.dynamic_update_index_in_dim(state.written, tokens, state.step, 0)
    return State(state.step + 1, tokens, written, ends, state.stopped | ended, state.cache)


def _prefill(prompts: Sequence[np.ndarray], config: DiaConfig) -> Prefill:
    decoder, longest = config.decoder, max(map(len, prompts))
    width = _round_up(longest + 1, PROMPT_STEP) if longest else 1
    shape = (len(prompts), width, decoder.num_channels)
    rows = np.full(shape, decoder.pad_token_id, np.int32)
    dictated = np.full((len(prompts), config.longest_delay + 1, shape[2]), decoder.pad_token_id, np.int32)
    for number, prompt in enumerate(prompts):
        sequence = config.delayed(prompt, end=False)
        rows[number, width - len(prompt) - 1 :] = sequence[: len(prompt) + 1]
        dictated[number, :-1] = sequence[len(prompt) + 1 :]
    frames = np.array([len(prompt) for prompt in prompts], np.int32)
    return Prefill(rows, dictated, frames, width - 1 - frames)


def _codes(generated: np.ndarray, prompt: np.ndarray, config: DiaConfig) -> np.ndarray:
    sequence = np.concatenate([config.delayed(prompt, end=False)[: len(prompt) + 1], generated])
    codes, _ = delay.undo(sequence, config.delay_pattern, config.decoder.eos_token_id)
    return codes[len(prompt) :].astype(np.uint16)


def _doubled(x: jax.Array | np.ndarray, guided: bool) -> jax.Array:
    return jnp.concatenate([x, x]) if guided else jnp.asarray(x)


def _pad_text(text_ids: np.ndarray) -> np.ndarray:
    return np.pad(text_ids, ((0, 0), (0, _round_up(text_ids.shape[1], TEXT_STEP) - text_ids.shape[1])))


def _row_keys(seeds: Sequence[int] | np.ndarray) -> jax.Array:
    return jax.vmap(jax.random.key)(np.array([int(seed) % 2**32 for seed in seeds], np.uint32))


def _settings(guidance, temperature, top_k, top_p) -> tuple[Choice, Numbers]:
    guidance, top_p = 1.0 if guidance is None else guidance, 1.0 if top_p is None else top_p
    for right, sentence in (
        (guidance >= 1, f"guidance is {guidance:g}: choose 1 (none) or more"),
        (temperature >= 0, f"temperature is {temperature:g}: choose 0 (greedy) or more"),
        (top_k is None or top_k >= 1, f"top-k is {top_k}: choose 1 or more"),
        (0 < top_p <= 1, f"top-p is {top_p:g}: choose more than 0 and at most 1 (all)"),
    ):
        if not right:
            raise UserError(f"The {sentence}.")
    numbers = Numbers(*(jnp.float32(number) for number in (guidance, temperature, top_p)))
    return Choice(guidance > 1, temperature == 0, top_k, top_p < 1), numbers


def _check_room(config: DiaConfig, text_bytes: int, max_frames: int, prompt_frames: int) -> None:
    if text_bytes > config.encoder.max_position_embeddings:
        raise UserError(
            f"The text has {text_bytes} bytes and the model reads at most "
            f"{config.encoder.max_position_embeddings}; shorten or split it."
        )
    room = config.room(prompt_frames)
    if not 1 <= max_frames <= room:
        raise UserError(
            f"{max_frames} frames were asked for and the model has room for 1 to {room} after "
            f"{prompt_frames} of prompt; ask for fewer, or shorten the prompt."
        )


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
