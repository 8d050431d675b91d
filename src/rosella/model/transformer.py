"""Dia (nari-labs/dia; the Parakeet family): a byte encoder and a decoder of delayed audio codes, in Flax NNX.

Axes: B batch, S text bytes, T steps, C codebooks, V ids of a codebook, D model width, F inner width, M cache
slots. The weights of all layers are stacked, so that a loop compiles one layer.
Parameters and states are float32; `dtype` is what a matrix product's factors are cast to.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from rosella.errors import UserError
from rosella.model import masking, packing
from rosella.model.attention import (
    LINEAR,
    Attention,
    Weight,
    linear,
    put,
    rotary,
    rotate,
    turn,
    turns_weights,
    weight,
)
from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig
from rosella.model.int8 import Int8, round_weights, rounded
from rosella.model.masking import HIDDEN, Mask
from rosella.model.sharding import along_rows, gathered

# Stacks of at most so many layers are not looped over but unrolled: on a CPU a training step of the mini model then
# takes a fifth less time, and compiles no slower.
SHALLOW = 8

REMAT: dict[str, Any] = {
    "dots": jax.checkpoint_policies.save_only_these_names(LINEAR),
    "full": jax.checkpoint_policies.nothing_saveable,
}
"""What the backward pass finds kept of a layer; all of it with `none`."""


Pair = tuple[jax.Array, jax.Array]
"""Keys and values, or cosine and sine."""

Read = Callable[[Attention, jax.Array, jax.Array, jax.Array, Mask, jax.Array | None], jax.Array]
"""How a layer reads its text: `Attention.output`, or what does more."""

Layer = Callable[[jax.Array, Any], jax.Array]
"""States [B, T, D] after one layer of these weights."""


class Text(NamedTuple):
    """An encoded text: states [B, S, D], and what of them no query may see.

    `segments` [B, S] are those of packed rows.
    """

    states: jax.Array
    mask: Mask
    segments: jax.Array | None = None

    @property
    def bias(self) -> jax.Array:
        """The mask as a bias [B or 1, 1, 1, S or 1]."""
        return self.mask.additive(1, self.states.shape[1])


class DecodingWeights(NamedTuple):
    """The decoder's weights as its single steps want them."""

    layers: tuple[DecoderLayers, ...]
    logits: jax.Array | Int8

    @property
    def turned(self) -> bool:
        """Whether a weight is [*E, D] instead of [D, *E]."""
        return self.layers[0].mlp.turned


class Cache(NamedTuple):
    """What decoding keeps. Slot j of a row holds its step j; a row may be at another step than its companions.

    Rows beyond those that have a text are given one of zeros, whose cross-attention gives the same whatever they ask.
    """

    keys: tuple[jax.Array, ...]  # per layer [B, K, M, H]
    values: tuple[jax.Array, ...]
    text_keys: tuple[jax.Array, ...]  # per layer [rows with a text, K, S, H], computed once
    text_values: tuple[jax.Array, ...]
    text_bias: jax.Array
    text_known: jax.Array  # int32, beyond which no row sees a key of its text
    silence: tuple[jax.Array, ...] | None  # per layer [1, 1, D]
    filled: jax.Array  # int32 [B], the slots of a row that hold steps, the first; no other is read


class Norm(nnx.Module):
    """Root-mean-square normalisation (arXiv 1910.07467)."""

    def __init__(self, shape: tuple[int, ...], axes: tuple[str, ...], eps: float):
        self.scale = Weight(jnp.ones(shape, jnp.float32), axes=axes)
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps) * self.scale[...]


class Feedforward(nnx.Module):
    """Gated SiLU (arXiv 2002.05202), gate and up projection in one matrix."""

    def __init__(self, rngs: nnx.Rngs, layers: int, width: int, inner: int, scale: float, dtype: jnp.dtype):
        self.dtype, self.turned = dtype, False
        self.gate_up = weight(rngs, (layers, width, 2, inner), ("layers", "embed", "pair", "inner"), scale)
        self.down = weight(rngs, (layers, inner, width), ("layers", "inner", "embed"), scale)

    def turn(self) -> None:
        """Lay the weights of one layer out for products of a few rows."""
        self.gate_up, self.down, self.turned = turn(self.gate_up), turn(self.down), True

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        weights = self.gate_up.get_value()
        if isinstance(weights, Int8) or self.turned or x_BTD.size < weights.size:
            both = linear(self.dtype, x_BTD, weights, self.turned)
            gate, up = both[:, :, 0], both[:, :, 1]
        else:
            gate, up = (linear(self.dtype, x_BTD, weights[:, each]) for each in (0, 1))
        return linear(self.dtype, jax.nn.silu(gate) * up, self.down.get_value(), self.turned)


class EncoderLayers(nnx.Module):
    """The encoder's layers, stacked; called inside the loop on one of them."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, dtype: jnp.dtype):
        layers, width, scale = config.num_hidden_layers, config.hidden_size, config.initializer_range
        heads = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        self.self_norm = Norm((layers, width), ("layers", "embed"), config.norm_eps)
        self.self_attention = Attention(rngs, layers, width, width, *heads, scale, dtype)
        self.mlp_norm = Norm((layers, width), ("layers", "embed"), config.norm_eps)
        self.mlp = Feedforward(rngs, layers, width, config.intermediate_size, scale, dtype)

    def __call__(self, x_BSD: jax.Array, angles: Pair, mask: Mask) -> jax.Array:
        queries, keys, values = self.self_attention.project(self.self_norm(x_BSD))
        queries = rotate(queries, angles)
        x_BSD = x_BSD + self.self_attention.output(queries, rotate(keys, angles), values, mask)
        return x_BSD + self.mlp(self.mlp_norm(x_BSD))


class Encoder(nnx.Module):
    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, dtype: jnp.dtype):
        shape = (config.vocab_size, config.hidden_size)
        self.embedding = weight(rngs, shape, ("vocab", "embed"), config.initializer_range)
        self.layers = EncoderLayers(config, rngs, dtype)
        self.norm = Norm((config.hidden_size,), ("embed",), config.norm_eps)


class DecoderLayers(nnx.Module):
    """The decoder's layers, stacked; called inside the loop on one of them."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs, dtype: jnp.dtype):
        layers, width, scale = config.num_hidden_layers, config.hidden_size, config.initializer_range
        own = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        cross = config.cross_num_attention_heads, config.cross_num_key_value_heads, config.cross_head_dim
        self.self_norm = Norm((layers, width), ("layers", "embed"), config.norm_eps)
        self.self_attention = Attention(rngs, layers, width, width, *own, scale, dtype)
        self.cross_norm = Norm((layers, width), ("layers", "embed"), config.norm_eps)
        self.cross_attention = Attention(rngs, layers, width, config.cross_hidden_size, *cross, scale, dtype)
        self.mlp_norm = Norm((layers, width), ("layers", "embed"), config.norm_eps)
        self.mlp = Feedforward(rngs, layers, width, config.intermediate_size, scale, dtype)

    def turn(self) -> None:
        """Lay the weights of one layer out for products of a few rows."""
        self.self_attention.turn(own=True)
        self.cross_attention.turn(own=False)
        self.mlp.turn()

    def __call__(
        self,
        x_BTD: jax.Array,
        angles: Pair,
        mask: Mask,
        past: tuple[jax.Array, jax.Array, jax.Array] | None,
        text: Pair,
        text_mask: Mask,
        text_known: jax.Array | None = None,
        silence: jax.Array | None = None,
        read: Read = Attention.output,
    ) -> tuple[jax.Array, Pair]:
        """One layer over new steps; `past` (keys, values, slots filled [B]) or None, `text` its keys and values.

        Only `text_known` keys of a text are seen. Rows beyond those of `text` read `silence` [1, 1, D].
        Returns the states and the keys and values that this layer now knows.
        """
        queries, keys, values = self.self_attention.project(self.self_norm(x_BTD))
        queries, keys, known = rotate(queries, angles), rotate(keys, angles), None
        if past is not None:
            known = jnp.max(past[2]) + x_BTD.shape[1]
            keys, values = put(past[0], keys, past[2]), put(past[1], values, past[2])
        x_BTD = x_BTD + self.self_attention.output(queries, keys, values, mask, known)
        queries = self.cross_attention.queries(self.cross_norm(x_BTD[: len(text[0])]))
        heard = read(self.cross_attention, queries, text[0], text[1], text_mask, text_known)
        if silence is not None:
            rest = len(x_BTD) - len(heard), *heard.shape[1:]
            heard = jnp.concatenate([heard, jnp.broadcast_to(silence, rest)])
        x_BTD = x_BTD + heard
        return x_BTD + self.mlp(self.mlp_norm(x_BTD)), (keys, values)


class Decoder(nnx.Module):
    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs, dtype: jnp.dtype):
        width, channels, ids = config.hidden_size, config.num_channels, config.vocab_size
        scale = config.initializer_range
        self.embedding = weight(rngs, (channels, ids, width), ("codebooks", "vocab", "embed"), scale)
        self.layers = DecoderLayers(config, rngs, dtype)
        self.norm = Norm((width,), ("embed",), config.norm_eps)
        self.logits = weight(rngs, (width, channels, ids), ("embed", "codebooks", "vocab"), scale)


class Dia(nnx.Module):
    """The whole model. The same layers serve training, prefill and single decoding steps."""

    def __init__(
        self,
        config: DiaConfig,
        rngs: nnx.Rngs,
        dtype: jnp.dtype = jnp.float32,
        remat: str = "none",
        attention: str = "auto",
    ):
        """`dtype` is the matrix products' compute type; `remat`, of `REMAT`, trades time for memory in training; with
        `attention` `xla` no kernel of the devices is used.
        """
        self.config, self.remat = config, remat
        self.encoder = Encoder(config.encoder, rngs, dtype)
        self.decoder = Decoder(config.decoder, rngs, dtype)
        self.set_attributes(Attention, own_kernels=attention == "auto")

    @property
    def dtype(self) -> jnp.dtype:
        """The compute type of every matrix product; setting it reaches all layers."""
        return self.decoder.layers.mlp.dtype

    @dtype.setter
    def dtype(self, dtype: jnp.dtype) -> None:
        self.set_attributes(nnx.Any(Attention, Feedforward), dtype=dtype)

    def computing(self, dtype: str, remat: str = "none") -> Dia:
        """The same parameters, which compute in another type, or with another trade of time for memory."""
        copy = nnx.merge(*nnx.split(self))
        copy.dtype, copy.remat = jnp.dtype(dtype), remat
        return copy

    def __call__(self, text_ids: jax.Array, lengths: jax.Array, tokens: jax.Array) -> jax.Array:
        """Teacher forcing: logits float32 [B, T, C, V] of text [B, S], lengths [B], delayed ids [B, T, C]."""
        return self.logits(self.decode(tokens, self.encode(text_ids, lengths)))

    def encode(self, text_ids: jax.Array, lengths: jax.Array) -> Text:
        """Encodes right-padded byte ids [B, S] of lengths [B], or of the utterances of packed rows [B, P].

        Dropped text is zeroed ids with the length it had.
        """
        if lengths.ndim == 2 and lengths.shape[1] > 1:
            return self._encode_packed(text_ids, lengths)
        lengths = lengths.reshape(-1)
        text = self._encode_masked(text_ids, lengths)
        if self.config.cross_attention_padding == "mask":
            return text
        return self._with_padding_key(text, lengths)

    def decode(self, tokens: jax.Array, text: Text, steps: jax.Array | None = None) -> jax.Array:
        """Decoder states [B, T, D] of whole sequences [B, T, C], which may be padded at their end.

        Of packed rows, `steps` [B, P] are the lengths of the utterances in each.
        """
        mask = Mask(causal=True)
        if text.segments is None:
            return self._decoded(tokens, jnp.arange(tokens.shape[1])[None], mask, text, None)
        assert steps is not None
        segments, places = packing.of(steps, tokens.shape[1])
        mask = replace(mask, queries=segments, keys=segments)
        return self._decoded(tokens, places, mask, text, segments)

    def decode_blocks(
        self, tokens: jax.Array, noisy: jax.Array, text: Text, steps: jax.Array, size: int
    ) -> tuple[jax.Array, jax.Array]:
        """`decode`, and the states [B, N, D] of the same sequences in whole blocks of `size` steps, some of whose ids are
        hidden: `noisy` [B, N, C], laid out by `packing.in_blocks`. `steps` [B, P] are the lengths of the sequences.

        Each block sees the known steps before it and all of itself (`masking.blocks`); positions are those of the known.
        """
        clean = packing.of(steps, tokens.shape[1])
        blocks = packing.of(packing.whole(steps, size), noisy.shape[1])
        segments, places = (jnp.concatenate(pair, 1) for pair in zip(clean, blocks, strict=True))
        mask = Mask(queries=segments, keys=segments, bias=masking.blocks(clean.places, blocks.places, size))
        states = self._decoded(jnp.concatenate([tokens, noisy], 1), places, mask, text, segments)
        return states[:, : tokens.shape[1]], states[:, tokens.shape[1] :]

    def _decoded(
        self, tokens: jax.Array, places: jax.Array, mask: Mask, text: Text, segments: jax.Array | None
    ) -> jax.Array:
        """States [B, T, D] of steps at these places, which in packed rows are of these segments [B, T]."""
        text_mask = text.mask
        if text.segments is not None:
            text_mask = replace(text_mask, queries=segments, keys=text.segments)
        angles = self._angles(self.config.decoder, places)
        graph, layers = nnx.split(self.decoder.layers)

        def one(states: jax.Array, weights: Any) -> jax.Array:
            layer = nnx.merge(graph, weights)
            known = layer.cross_attention.keys_values(text.states)
            return layer(states, angles, mask, None, known, text_mask)[0]

        states = self._through(one, self._embed(tokens), layers, self.config.decoder)
        return self.decoder.norm(states)

    def logits(self, states: jax.Array, decoding: DecodingWeights | None = None) -> jax.Array:
        """Logits float32 [B, T, C, V] of decoder states [B, T, D]; of single steps, by their weights."""
        if decoding is not None:
            return linear(self.dtype, states, decoding.logits, decoding.turned)
        return linear(self.dtype, states, self.decoder.logits[...])

    def decoding_weights(self, int8: bool = False) -> DecodingWeights:
        """Taken apart once, before a decoding loop: layers one by one, in the compute type or `int8`, turned on a CPU."""
        graph, weights = nnx.split(self.decoder.layers)
        weights = jax.tree.map(lambda leaf: leaf if leaf.ndim == 2 else leaf.astype(self.dtype), weights)
        count, turned = self.config.decoder.num_hidden_layers, turns_weights()
        each = [jax.tree.map(operator.itemgetter(i), weights) for i in range(count)]
        layers, logits = tuple(nnx.merge(graph, layer) for layer in each), self.decoder.logits
        if turned:
            logits = turn(logits)
            for layer in layers:
                layer.turn()
        if not int8:
            return DecodingWeights(layers, logits[...].astype(self.dtype))
        for layer in layers:
            for part in (layer.self_attention, layer.cross_attention, layer.mlp):
                round_weights(part, turned)
        return DecodingWeights(layers, rounded(logits[...], turned, 1))

    def start(
        self, text: Text, rows: int, slots: int, weights: DecodingWeights, text_slots: int = 0
    ) -> Cache:
        """An empty cache of `rows` of `slots` steps; those beyond the rows of `text` are given a text of zeros.

        Keys of texts are padded to `text_slots`.
        """
        settings, known = self.config.decoder, text.states.shape[1]
        shape = (rows, settings.num_key_value_heads, slots, settings.head_dim)
        empty = tuple(jnp.zeros(shape, self.dtype) for _ in weights.layers)
        free = (0, max(text_slots - known, 0))  # a text may have a key of its padding besides
        read = (layer.cross_attention.keys_values(text.states) for layer in weights.layers)
        padded = (tuple(jnp.pad(each, ((0, 0), (0, 0), free, (0, 0))) for each in pair) for pair in read)
        keys, values = zip(*padded, strict=True)
        bias = jnp.broadcast_to(text.bias, (*text.bias.shape[:3], known))
        bias = jnp.pad(bias, ((0, 0), (0, 0), (0, 0), free), constant_values=HIDDEN)
        silence = self._silence(weights) if rows > len(text.states) else None
        filled = jnp.zeros(rows, jnp.int32)
        return Cache(empty, empty, keys, values, bias, jnp.int32(known), silence, filled)

    def _silence(self, weights: DecodingWeights) -> tuple[jax.Array, ...]:
        """What each layer's cross-attention [1, 1, D] reads of a text of zeros, whatever it is asked and however long.

        Its keys carry no position and all states of such a text are equal: one stands for all.
        """
        state = self.encode(jnp.zeros((1, 1), jnp.int32), jnp.ones(1, jnp.int32)).states[:, :1]
        decoder = self.config.decoder
        asked = jnp.zeros((1, decoder.cross_num_attention_heads, 1, decoder.cross_head_dim))
        every = (layer.cross_attention for layer in weights.layers)
        return tuple(each.output(asked, *each.keys_values(state), Mask()) for each in every)

    def step(
        self,
        tokens: jax.Array,
        cache: Cache,
        weights: DecodingWeights,
        together: bool = False,
        read: Read = Attention.output,
    ) -> tuple[jax.Array, Cache]:
        """Decoder states [B, T, D] of the next T steps [B, T, C], and the cache that knows them.

        Each sees those up to itself, or, as the block of a noisy half (`decode_blocks`), all that are `together`. One layer
        after another, `read` reads the texts.
        """
        slots = cache.filled[:, None] + jnp.arange(tokens.shape[1])
        every = jnp.arange(cache.keys[0].shape[2])
        visible = every <= (slots[:, -1:] if together else slots)[:, :, None]
        mask, text_mask = Mask(bias=jnp.where(visible, 0.0, HIDDEN)[:, None]), Mask(bias=cache.text_bias)
        # A last block may reach beyond the positions there are, with steps that nobody needs: they stand at the last.
        angles = self._angles(self.config.decoder, slots)
        states, known = self._embed(tokens), list[Pair]()
        silence = cache.silence or (None,) * len(weights.layers)
        for layer, keys, values, *text, silent in zip(weights.layers, *cache[:4], silence, strict=True):
            past = keys, values, cache.filled
            states, pair = layer(
                states, angles, mask, past, (text[0], text[1]), text_mask, cache.text_known, silent, read
            )
            known.append(pair)
        keys, values = zip(*known, strict=True)
        cache = cache._replace(keys=keys, values=values, filled=cache.filled + tokens.shape[1])
        return self.decoder.norm(states), cache

    def _encode_masked(self, text_ids: jax.Array, lengths: jax.Array) -> Text:
        mask = Mask(lengths=lengths)
        return Text(self._encoded(text_ids, jnp.arange(text_ids.shape[1])[None], mask), mask)

    def _encode_packed(self, text_ids: jax.Array, lengths: jax.Array) -> Text:
        if self.config.cross_attention_padding == "attend":
            raise UserError("A model that attends to text padding cannot read packed rows: unset data.pack.")
        segments, places = packing.of(lengths, text_ids.shape[1])
        states = self._encoded(text_ids, places, Mask(queries=segments, keys=segments))
        return Text(states, Mask(), segments)

    def _encoded(self, text_ids: jax.Array, places: jax.Array, mask: Mask) -> jax.Array:
        angles = self._angles(self.config.encoder, places)
        graph, layers = nnx.split(self.encoder.layers)

        def one(states: jax.Array, weights: Any) -> jax.Array:
            return nnx.merge(graph, weights)(states, angles, mask)

        states = gathered(self.encoder.embedding[...])[text_ids]
        states = self._through(one, states, layers, self.config.encoder)
        return self.encoder.norm(states)

    def _with_padding_key(self, text: Text, lengths: jax.Array) -> Text:
        """Adds the key that stands for the padding which an `attend` model's decoder was trained to see.

        All T - L padding positions carry the encoder state of a lone zero token, so one key with a bias of
        log(T - L) has their share of the softmax.
        """
        zero = self._encode_masked(jnp.zeros((1, 1), jnp.int32), jnp.ones(1, jnp.int32)).states
        zeros = jnp.broadcast_to(zero, (len(lengths), *zero.shape[1:]))
        length = self.config.trained_text_length
        assert length is not None
        padding = jnp.maximum(length - lengths, 0)
        share = jnp.where(padding > 0, jnp.log(jnp.maximum(padding, 1)), HIDDEN)[:, None, None, None]
        bias = jnp.concatenate([text.bias, share], -1)
        return Text(jnp.concatenate([text.states, zeros], 1), Mask(bias=bias))

    def _embed(self, tokens: jax.Array) -> jax.Array:
        table = gathered(self.decoder.embedding[...])
        summed: Any = sum(table[c][tokens[..., c]] for c in range(len(table)))
        return summed

    def _angles(self, settings: EncoderConfig | DecoderConfig, positions: jax.Array) -> Pair:
        return rotary(positions, settings.max_position_embeddings, settings.head_dim, settings.rope_theta)

    def _through(
        self, one: Layer, states: jax.Array, layers: Any, settings: EncoderConfig | DecoderConfig
    ) -> jax.Array:
        """States after `one(states, weights)` for the weights of each layer in turn."""

        def carried(states: jax.Array, weights: Any) -> tuple[jax.Array, None]:
            return along_rows(one(along_rows(states), weights)), None

        body = jax.checkpoint(carried, policy=REMAT[self.remat]) if self.remat != "none" else carried
        return jax.lax.scan(body, states, layers, unroll=settings.num_hidden_layers <= SHALLOW)[0]
