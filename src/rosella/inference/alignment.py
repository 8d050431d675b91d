"""Where in its text a finished speech is: the decoder's cross-attention, followed from left to right.

Of each layer the head that looks at the fewest places is asked, since only such heads read along; which these are differs
from model to model. After the idea of Whisper's word times (github.com/openai/whisper), whose heads are fixed.

Axes: L layers, N heads, T steps, S text bytes, C codebooks.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import dialogue
from rosella.inference.decoding import program
from rosella.inference.layout import doubled
from rosella.model.attention import Attention
from rosella.model.masking import Mask
from rosella.model.transformer import DecodingWeights, Dia

READERS = 3
"""So many heads are believed, of all layers those that read along best."""
STRIDE = 2
"""Bytes that a frame goes on, at most."""
STEPS = 256
"""Frames are rounded up to doublings of these, so that few shapes are compiled."""
_LEAST = 1e-4


class Followed(NamedTuple):
    """The byte that each frame says, never an earlier one than before, and the share of what heads look at that is on it."""

    places: np.ndarray  # int32 [frames]
    shares: np.ndarray  # float32 [frames], 0 to 1


def follow(model: Dia, ids: np.ndarray, codes: np.ndarray, weights: DecodingWeights) -> Followed:
    """Read codes [frames, C] along their text, byte ids int32 [S]; `weights` are the model's own, `prepared`."""
    config = model.config
    steps = min(doubled(len(codes), STEPS), config.decoder.max_position_embeddings)
    tokens = np.full((1, steps, config.decoder.num_channels), config.decoder.pad_token_id, np.int32)
    tokens[0, : len(codes)] = config.delayed(codes, end=False)[: len(codes)]
    text = dialogue.pad_batch([ids], config.encoder.max_position_embeddings)
    graph, params = nnx.split(model)
    looks = _program()(graph, params, weights, *text, tokens, np.int32(len(codes)))
    return read_along(np.asarray(looks)[:, : len(codes), : len(ids)].astype(np.float32))


def read_along(looks: np.ndarray) -> Followed:
    """The path through what heads [heads, T, S] look at, each row at most 1, that most of it lies on."""
    on_path = [
        head[np.arange(len(head)), path].mean() for head, path in zip(looks, _paths(looks), strict=True)
    ]
    believed = looks[np.argsort(on_path)[-READERS:]].mean(axis=0)
    (path,) = _paths(believed[None])
    return Followed(path, believed[np.arange(len(path)), path])


def _paths(looks: np.ndarray) -> np.ndarray:
    """The best way through each of [heads, T, S] that stays or goes on by up to `STRIDE` bytes a step: int32 [heads, T]."""
    scores = np.log(looks + _LEAST)
    heads, steps, width = scores.shape
    moves = np.zeros((steps, heads, width), np.int32)
    total = scores[:, 0]
    for step in range(1, steps):
        padded = np.pad(total, ((0, 0), (STRIDE, 0)), constant_values=-np.inf)
        came = np.stack([padded[:, STRIDE - by :][:, :width] for by in range(STRIDE + 1)])
        moves[step] = came.argmax(axis=0)
        total = came.max(axis=0) + scores[:, step]
    paths = np.empty((heads, steps), np.int32)
    paths[:, -1] = total.argmax(axis=1)
    for step in range(steps - 1, 0, -1):
        paths[:, step - 1] = paths[:, step] - moves[step, np.arange(heads), paths[:, step]]
    return paths


@cache
def _program() -> Any:
    return program(_looks, static_argnames="graph")


def _looks(
    graph: nnx.GraphDef[Dia],
    params: Any,
    weights: DecodingWeights,
    text_ids: jax.Array,
    lengths: jax.Array,
    tokens: jax.Array,
    frames: jax.Array,
) -> jax.Array:
    """What the sharpest head of each layer looks at, float16 [L, T, S], while tokens [1, T, C] are read."""
    model, heard = nnx.merge(graph, params), list[jax.Array]()
    for layer in weights.layers:
        overheard: Any = _Overheard(layer.cross_attention, heard)
        layer.cross_attention = overheard
    cache = model.start(model.encode(text_ids, lengths), 1, tokens.shape[1], weights)
    model.step(tokens, cache, weights)
    real = (jnp.arange(tokens.shape[1]) < frames)[None, :, None]
    return jnp.stack([_sharpest(looks[0] * real) for looks in heard]).astype(jnp.float16)


def _sharpest(looks_NTS: jax.Array) -> jax.Array:
    return looks_NTS[jnp.argmax(looks_NTS.max(axis=2).sum(axis=1))]


class _Overheard:
    """A layer's cross-attention that also notes what its heads look at, [B, N, T, S]."""

    def __init__(self, attention: Attention, heard: list[jax.Array]) -> None:
        self._attention, self._heard = attention, heard
        self.queries, self.keys_values = attention.queries, attention.keys_values

    def output(
        self, queries: jax.Array, keys: jax.Array, values: jax.Array, mask: Mask, known: jax.Array | None
    ) -> jax.Array:
        shared = queries.shape[1] // keys.shape[1]
        scores = jnp.einsum("BNTH,BNSH->BNTS", queries, jnp.repeat(keys, shared, axis=1))
        self._heard.append(jax.nn.softmax(scores + mask.additive(queries.shape[2], keys.shape[2]), axis=-1))
        return self._attention.output(queries, keys, values, mask, known)
