"""Where in its text a finished speech is: what the decoder's heads look at while they read it once more.

Axes: L layers, N heads, T steps, S text bytes, C codebooks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella import dialogue
from rosella.inference.decoding import program
from rosella.inference.layout import FOLLOWED, doubled
from rosella.inference.reading import Followed, read_along
from rosella.model.attention import Attention
from rosella.model.masking import Mask
from rosella.model.transformer import DecodingWeights, Dia


def follow(model: Dia, ids: np.ndarray, codes: np.ndarray, weights: DecodingWeights) -> Followed:
    """Read codes [frames, C] along their text, byte ids int32 [S]; `weights` are the model's own, `prepared`."""
    config = model.config
    steps = min(doubled(len(codes), FOLLOWED), config.decoder.max_position_embeddings)
    tokens = np.full((1, steps, config.decoder.num_channels), config.decoder.pad_token_id, np.int32)
    tokens[0, : len(codes)] = config.delayed(codes, end=False)[: len(codes)]
    text = dialogue.pad_batch([ids], config.encoder.max_position_embeddings)
    graph, params = nnx.split(model)
    looks = _program()(graph, params, weights, *text, tokens, np.int32(len(codes)))
    return read_along(np.asarray(looks)[:, : len(codes), : len(ids)].astype(np.float32))


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
