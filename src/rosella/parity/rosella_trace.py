"""The trace of a model that Rosella runs, in JAX."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import dialogue
from rosella.inference.generate import generate
from rosella.inference.layout import Prompt
from rosella.inference.settings import Sampling
from rosella.model.config import DiaConfig
from rosella.model.transformer import DecoderLayers, Dia
from rosella.parity import trace
from rosella.parity.trace import Case, Greedy, Inputs, Say, Trace
from rosella.training import loss


def trace_model(model: Dia, inputs: Inputs, dtype: str, say: Say) -> Trace:
    """The trace of our model computing in `dtype`; each case is one program, which tells no frames."""
    model = model.computing(dtype)
    ids, lengths = dialogue.pad_batch([dialogue.encode(each) for each in inputs.texts])
    ids[trace.DROPPED] = dialogue.PADDING
    say(trace.STAGES)
    made = Trace(
        _stages(model, ids, lengths, [model.config.delayed(codes, end=True) for codes in inputs.codes])
    )
    for case in trace.CASES:
        say(str(case))
        made.greedy[case] = _greedy(model, ids, lengths, inputs, case)
    return made


def _stages(
    model: Dia, ids: np.ndarray, lengths: np.ndarray, sequences: list[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    tokens, counts = pad(sequences, model.config), [len(sequence) - 1 for sequence in sequences]
    graph, weights = nnx.split(model)
    encoded, layers, logits = _teacher_forced(graph, weights, ids, lengths, tokens[:, :-1])
    stages = {
        trace.TEXT_IDS: trace.cut_rows(ids, lengths),
        trace.AUDIO_IDS: [sequence[:-1] for sequence in sequences],
        trace.ENCODER: trace.cut_rows(encoded, lengths),
    }
    for number, states in enumerate(layers):
        stages[trace.layer_name(number)] = trace.cut_rows(states, counts)
    sums, counted = loss.codebook_sums(logits, jnp.asarray(tokens[:, 1:]), model.config.decoder)
    mean = loss.combine(sums / counted, [1.0] * len(sums))
    return stages | {trace.LOGITS: trace.cut_rows(logits, counts), trace.LOSS: [np.asarray(mean)[None]]}


@partial(jax.jit, static_argnames="graph")
def _teacher_forced(
    graph: nnx.GraphDef[Dia], weights: Any, ids: jax.Array, lengths: jax.Array, tokens: jax.Array
) -> tuple[jax.Array, list[jax.Array], jax.Array]:
    """Encoder states [B, S, D], each decoder layer's states [B, T, D], logits [B, T, C, V].

    Training's loop over layers keeps no layer's states, so these come from the prefill of generation, which
    runs the same layers; the logits come from the loop.
    """
    model = nnx.merge(graph, weights)
    encoded = model.encode(ids, lengths)
    states: list[jax.Array] = []
    decoding = model.decoding_weights()
    recorded: Any = tuple(_Recorded(layer, states) for layer in decoding.layers)
    decoding = decoding._replace(layers=recorded)
    cache = model.start(encoded, len(tokens), tokens.shape[1], decoding)
    model.step(tokens, cache, decoding)
    return encoded.states, states, model.logits(model.decode(tokens, encoded))


@partial(jax.jit, static_argnames="graph")
def _logits(
    graph: nnx.GraphDef[Dia], weights: Any, ids: jax.Array, lengths: jax.Array, tokens: jax.Array
) -> jax.Array:
    return nnx.merge(graph, weights)(ids, lengths, tokens)


class _Recorded:
    """A decoder layer that keeps the states it returned."""

    def __init__(self, layer: DecoderLayers, states: list[jax.Array]) -> None:
        self.layer, self.states = layer, states
        self.cross_attention = layer.cross_attention

    def __call__(self, *arguments: Any) -> tuple[jax.Array, Any]:
        states, known = self.layer(*arguments)
        self.states.append(states)
        return states, known


def _greedy(model: Dia, ids: np.ndarray, lengths: np.ndarray, inputs: Inputs, case: Case) -> Greedy:
    nothing = np.zeros((0, model.config.decoder.num_channels), np.int32)
    prompts = inputs.prompts if case.prompted else [nothing] * len(ids)
    sampling = Sampling(case.guidance, temperature=0.0, top_k=case.top_k, steady=False)
    begun = [Prompt(codes, 0) for codes in prompts]
    made = generate(model, ids, lengths, max_frames=inputs.frames, prompts=begun, sampling=sampling)
    longest = 1 + max(trace.PROMPT_FRAMES) + inputs.frames + model.config.longest_delay
    return Greedy(made.tokens, _margins(model, ids, lengths, prompts, made.tokens, longest, case))


def _margins(
    model: Dia,
    ids: np.ndarray,
    lengths: np.ndarray,
    prompts: list[np.ndarray],
    made: np.ndarray,
    longest: int,
    case: Case,
) -> np.ndarray:
    """The margins [B, steps, C] of the choices that made [B, steps, C], from teacher forcing on them.

    What is read is padded to `longest`, so that one program serves all cases.
    """
    config, steps = model.config, made.shape[1]
    begun = [config.delayed(prompt, end=False)[: len(prompt) + 1] for prompt in prompts]
    whole = [np.concatenate(pair) for pair in zip(begun, made, strict=True)]
    read = pad(whole, config, longest)
    graph, weights = nnx.split(model)
    conditional, unconditional = (
        np.asarray(_logits(graph, weights, each, lengths, read)) for each in (ids, 0 * ids)
    )
    every = margins(conditional, unconditional, case, config.decoder.eos_token_id)
    return np.stack(
        [row[len(prompt) : len(prompt) + steps] for row, prompt in zip(every, prompts, strict=True)]
    )


def margins(conditional: np.ndarray, unconditional: np.ndarray, case: Case, eos: int) -> np.ndarray:
    """By how much a logit must change to change the greedy choice; [..., C] of logits [..., C, V].

    Either of the two best ids left by the filters change places, or two ids do at the boundary of guidance's
    top k, which decides who is left.
    """
    scores, boundary = conditional, np.float32(np.inf)
    if case.guidance > 1 and case.top_k < scores.shape[-1]:
        guided = conditional + case.guidance * (conditional - unconditional)
        ordered = -np.sort(-guided, axis=-1)
        boundary = ordered[..., case.top_k - 1] - ordered[..., case.top_k]
        boundary = boundary / (1 + 2 * case.guidance)  # guidance multiplies the error of both logits
        scores = np.where(guided >= ordered[..., case.top_k - 1 : case.top_k], scores, -np.inf)
    ids, first = np.arange(scores.shape[-1]), np.arange(scores.shape[-2])[:, None] == 0
    scores = np.where((ids < eos) | (first & (ids == eos)), scores, -np.inf)
    second, best = np.moveaxis(np.partition(scores, -2, axis=-1)[..., -2:], -1, 0)
    return np.minimum(np.where(second > -np.inf, best, np.inf) - np.maximum(second, -1e30), boundary)


def pad(sequences: Sequence[np.ndarray], config: DiaConfig, length: int | None = None) -> np.ndarray:
    """Sequences [T, C] of several lengths as one batch [B, `length` or the longest, C], padded at their end."""
    length = length or max(map(len, sequences))
    padding = config.decoder.pad_token_id
    return np.stack(
        [np.pad(row, ((0, length - len(row)), (0, 0)), constant_values=padding) for row in sequences]
    )
