"""Where in its text a finished speech is, and which heads know: what they look at while they read it once more.

Axes: L layers, N heads, T steps, S text bytes, C codebooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from rosella.inference.steady import looks
from rosella.model.attention import Attention
from rosella.model.transformer import DecodingWeights, Dia

NEAR = 3
"""Bytes from the one that is said, within which a head is taken to look at it."""
READS = 0.7
"""The share of its looks that are near, from which on a head reads along."""


def follow(model: Dia, ids: np.ndarray, codes: np.ndarray, weights: DecodingWeights) -> Followed:
    """Read codes [frames, C] along their text, byte ids int32 [S]; `weights` are the model's own, `prepared`."""
    looked = _program(_sharpest_looks)(*_read(model, ids, codes, weights), np.int32(len(codes)))
    return read_along(np.asarray(looked)[:, : len(codes), : len(ids)].astype(np.float32))


def near_shares(
    model: Dia, spoken: Iterable[tuple[np.ndarray, np.ndarray]], weights: DecodingWeights
) -> np.ndarray:
    """The share of each head's looks that is near what is being said, float32 [L, N]; texts and codes as of `follow`."""
    shares = list[np.ndarray]()
    for ids, codes in spoken:
        read = _read(model, ids, codes, weights)
        places = np.full(read[-1].shape[1], -len(ids) - NEAR, np.int32)
        places[: len(codes)] = follow(model, ids, codes, weights).places
        shares.append(np.asarray(_program(_near_looks)(*read, places)) / len(codes))
    return np.mean(shares, axis=0)


def readers(shares: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The heads of `near_shares` that read along, as layer and head, the best first."""
    best = np.argsort(-shares, axis=None, kind="stable")
    found = [divmod(int(head), shares.shape[1]) for head in best]
    return tuple(head for head in found if shares[head] >= READS)


def _read(
    model: Dia, ids: np.ndarray, codes: np.ndarray, weights: DecodingWeights
) -> tuple[nnx.GraphDef[Dia], Any, DecodingWeights, np.ndarray, np.ndarray, np.ndarray]:
    """The model and its weights, a text [1, S] and its length, and tokens [1, T, C], which may be more than the codes."""
    config = model.config
    steps = min(doubled(len(codes), FOLLOWED), config.decoder.max_position_embeddings)
    tokens = np.full((1, steps, config.decoder.num_channels), config.decoder.pad_token_id, np.int32)
    tokens[0, : len(codes)] = config.delayed(codes, end=False)[: len(codes)]
    graph, params = nnx.split(model)
    return graph, params, weights, *dialogue.pad_batch([ids], config.encoder.max_position_embeddings), tokens


@cache
def _program(told: Callable[[list[jax.Array], jax.Array], jax.Array]) -> Any:
    """What is told of the looks of all layers, and of whatever is asked of them."""

    def looked(
        graph: nnx.GraphDef[Dia], params: Any, weights: DecodingWeights, *read: jax.Array
    ) -> jax.Array:
        *inputs, asked = read
        return told(_heard(nnx.merge(graph, params), weights, *inputs), asked)

    return program(looked, static_argnames="graph")


def _sharpest_looks(heard: list[jax.Array], frames: jax.Array) -> jax.Array:
    """What the sharpest head of each layer looks at, float16 [L, T, S], in the first `frames` steps."""
    real = (jnp.arange(heard[0].shape[1]) < frames)[None, :, None]
    return jnp.stack([_sharpest(each * real) for each in heard]).astype(jnp.float16)


def _near_looks(heard: list[jax.Array], places: jax.Array) -> jax.Array:
    """How much each head looks at the text around places [T], in all steps together: float32 [L, N]."""
    near = jnp.abs(jnp.arange(heard[0].shape[2]) - places[:, None]) <= NEAR
    return jnp.stack([jnp.sum(each * near, axis=(1, 2)) for each in heard])


def _heard(
    model: Dia, weights: DecodingWeights, text_ids: jax.Array, lengths: jax.Array, tokens: jax.Array
) -> list[jax.Array]:
    """What the heads of each layer look at [N, T, S] while tokens [1, T, C] are read."""
    heard = list[jax.Array]()

    def read(attention: Attention, queries: jax.Array, keys: jax.Array, *rest: Any) -> jax.Array:
        shared = queries.shape[1] // keys.shape[1]
        heard.append(looks(queries, jnp.repeat(keys, shared, axis=1), rest[1])[0])
        return attention.output(queries, keys, *rest)

    cache = model.start(model.encode(text_ids, lengths), 1, tokens.shape[1], weights)
    model.step(tokens, cache, weights, read=read)
    return heard


def _sharpest(looks_NTS: jax.Array) -> jax.Array:
    return looks_NTS[jnp.argmax(looks_NTS.max(axis=2).sum(axis=1))]
