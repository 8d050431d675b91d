"""What a model computes on the way from text to codes, stage by stage, from inputs chosen to show differences.

A trace holds only valid positions, a row of the batch after another, so that homes which pad at different
sides compare. Axes: T a row's steps, C codebooks, V ids, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import dialogue
from rosella.errors import UserError
from rosella.inference.generate import generate
from rosella.inference.sampling import Sampling
from rosella.model.config import DiaConfig
from rosella.model.transformer import DecoderLayers, Dia
from rosella.training import loss

# All tags, letters of one to four bytes, a text without a change of speaker; the third is dropped.
TEXTS = (
    "[S1] Hé, één! [S2] Ja… [S3] 日本 🙂 [S4] (lacht)",
    "[S1] Nee.",
    "[S2] Eh, dat- dat is één. [S1] Straße.",
    "[S4] Œuvre; c'est ça. [S3] Zo!",
)
DROPPED = 2
LONGEST_TEXT, LONGEST_AUDIO, FRAMES = 256, 256, 200
AUDIO_SHARES, PROMPT_FRAMES = (1.0, 0.4, 0.1, 0.6), (12, 3, 1, 7)

TEXT_IDS, AUDIO_IDS, ENCODER, LOGITS, LOSS = "text ids", "audio ids", "encoder output", "logits", "loss"


class Case(NamedTuple):
    """One greedy generation."""

    guidance: float
    top_k: int
    prompted: bool

    def __str__(self) -> str:
        guided = f", guidance {self.guidance:g}, top-k {self.top_k}" if self.guidance > 1 else ", no guidance"
        return f"greedy ids{guided}{', after a prompt' if self.prompted else ''}"


CASES = (Case(1.0, 45, False), Case(3.0, 45, False), Case(3.0, 1, False), Case(3.0, 45, True))
STAGES = "every stage"
PARTS = (STAGES, *map(str, CASES))  # of a trace, in their order


class Say(Protocol):
    """Told which of `PARTS` is at work, and as far as that is known how many frames it has generated."""

    def __call__(self, part: str, frames: int | None = None) -> None: ...


@dataclass(frozen=True)
class Inputs:
    """A padded batch of unequal rows: texts, one of which is dropped, and the codes that are said in them."""

    texts: list[str]
    codes: list[np.ndarray]  # int32 [frames, C] per row, which teacher forcing reads
    prompts: list[np.ndarray]  # int32 [frames, C] per row, which generation goes on from
    frames: int  # to generate


class Greedy(NamedTuple):
    """Ids int32 [B, steps, C] as generated, ends and padding included, and the margin of each choice.

    A margin is by how much the logits would have to change for another id, in the same shape; only Rosella
    computes it.
    """

    ids: np.ndarray
    margins: np.ndarray | None = None


@dataclass
class Trace:
    """Each stage's rows in the order of computation, and the greedy ids of each case."""

    stages: dict[str, list[np.ndarray]] = field(default_factory=dict)
    greedy: dict[Case, Greedy] = field(default_factory=dict)


def layer_name(layer: int) -> str:
    return f"decoder layer {layer + 1}"


def make_inputs(config: DiaConfig, frames: int | None = None) -> Inputs:
    """Inputs that fit the model, always the same; `frames` to generate (default 200, or what fits).

    UserError when the model has no room for `frames`.
    """
    room = config.room(1)
    fits = room - max(PROMPT_FRAMES)
    if not 1 <= (frames or 1) <= fits:
        raise UserError(
            f"{frames} frames were asked for and the model has room for 1 to {fits}; ask for fewer."
        )
    random = np.random.default_rng(0)
    shape = (min(LONGEST_AUDIO, room), config.decoder.num_channels)
    codes = [random.integers(0, config.decoder.eos_token_id, shape, np.int32) for _ in TEXTS]
    longest = min(LONGEST_TEXT, config.encoder.max_position_embeddings)
    return Inputs(
        texts=[_repeated(TEXTS[0], longest), *TEXTS[1:]],
        codes=[row[: round(share * len(row))] for row, share in zip(codes, AUDIO_SHARES, strict=True)],
        prompts=[row[:count] for row, count in zip(codes, PROMPT_FRAMES, strict=True)],
        frames=frames or min(FRAMES, fits),
    )


def rosella_trace(model: Dia, inputs: Inputs, dtype: str, say: Say) -> Trace:
    """The trace of our model computing in `dtype`; each case is one program, which tells no frames."""
    model = model.computing(dtype)
    ids, lengths = dialogue.pad_batch([dialogue.encode(each) for each in inputs.texts])
    ids[DROPPED] = dialogue.PADDING
    say(STAGES)
    trace = Trace(
        _stages(model, ids, lengths, [model.config.delayed(codes, end=True) for codes in inputs.codes])
    )
    for case in CASES:
        say(str(case))
        trace.greedy[case] = _greedy(model, ids, lengths, inputs, case)
    return trace


def _stages(
    model: Dia, ids: np.ndarray, lengths: np.ndarray, sequences: list[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    tokens, counts = _padded(sequences, model.config), [len(sequence) - 1 for sequence in sequences]
    graph, weights = nnx.split(model)
    encoded, layers, logits = _teacher_forced(graph, weights, ids, lengths, tokens[:, :-1])
    stages = {
        TEXT_IDS: _rows(ids, lengths),
        AUDIO_IDS: [sequence[:-1] for sequence in sequences],
        ENCODER: _rows(encoded, lengths),
    }
    for number, states in enumerate(layers):
        stages[layer_name(number)] = _rows(states, counts)
    sums, counted = loss.codebook_sums(logits, jnp.asarray(tokens[:, 1:]), model.config.decoder)
    mean = loss.combine(sums / counted, [1.0] * len(sums))
    return stages | {LOGITS: _rows(logits, counts), LOSS: [np.asarray(mean)[None]]}


@partial(jax.jit, static_argnames="graph")
def _teacher_forced(graph, weights, ids, lengths, tokens) -> tuple[jax.Array, list[jax.Array], jax.Array]:
    """Encoder states [B, S, D], each decoder layer's states [B, T, D], logits [B, T, C, V].

    Training's loop over layers keeps no layer's states, so these come from the prefill of generation, which
    runs the same layers; the logits come from the loop.
    """
    model = nnx.merge(graph, weights)
    encoded = model.encode(ids, lengths)
    states: list[jax.Array] = []
    layers: Any = tuple(_Recorded(layer, states) for layer in model.decoding_layers())
    cache = model.start(encoded, jnp.zeros(len(tokens), jnp.int32), tokens.shape[1], layers)
    model.step(tokens, cache, layers)
    return encoded.states, states, model.logits(model.decode(tokens, encoded))


@partial(jax.jit, static_argnames="graph")
def _logits(graph, weights, ids, lengths, tokens) -> jax.Array:
    return nnx.merge(graph, weights)(ids, lengths, tokens)


class _Recorded:
    """A decoder layer that keeps the states it returned."""

    def __init__(self, layer: DecoderLayers, states: list[jax.Array]):
        self.layer, self.states = layer, states
        self.cross_attention = layer.cross_attention

    def __call__(self, *arguments):
        states, known = self.layer(*arguments)
        self.states.append(states)
        return states, known


def _greedy(model: Dia, ids: np.ndarray, lengths: np.ndarray, inputs: Inputs, case: Case) -> Greedy:
    nothing = np.zeros((0, model.config.decoder.num_channels), np.int32)
    prompts = inputs.prompts if case.prompted else [nothing] * len(ids)
    sampling = Sampling(case.guidance, temperature=0.0, top_k=case.top_k)
    made = generate(model, ids, lengths, max_frames=inputs.frames, prompts=prompts, sampling=sampling)
    longest = 1 + max(PROMPT_FRAMES) + inputs.frames + model.config.longest_delay
    return Greedy(made.tokens, _margins(model, ids, lengths, prompts, made.tokens, longest, case))


def _margins(model: Dia, ids, lengths, prompts, made: np.ndarray, longest: int, case: Case) -> np.ndarray:
    """The margins [B, steps, C] of the choices that made [B, steps, C], from teacher forcing on them.

    What is read is padded to `longest`, so that one program serves all cases.
    """
    config, steps = model.config, made.shape[1]
    begun = [config.delayed(prompt, end=False)[: len(prompt) + 1] for prompt in prompts]
    whole = [np.concatenate(pair) for pair in zip(begun, made, strict=True)]
    read = _padded(whole, config, longest)
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


def _padded(sequences: Sequence[np.ndarray], config: DiaConfig, length: int | None = None) -> np.ndarray:
    """Sequences [T, C] of several lengths as one batch [B, `length` or the longest, C], padded at their end."""
    length = length or max(map(len, sequences))
    padding = config.decoder.pad_token_id
    return np.stack(
        [np.pad(row, ((0, length - len(row)), (0, 0)), constant_values=padding) for row in sequences]
    )


def _rows(batch: Any, counts: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """The first counts[b] steps of each row of a batch padded at its end."""
    return [row[:count] for row, count in zip(np.asarray(batch), counts, strict=True)]


def _repeated(line: str, limit: int) -> str:
    """A line said as often as fits `limit` bytes."""
    return " ".join([line] * ((limit + 1) // (len(line.encode()) + 1)))
