"""Steps of Transformers' Dia over a static cache, written over in place, so that a device may record them as a graph.

Axes: B rows, S text bytes, T steps, C codebooks, V ids, D model width, N query heads, K key heads, H head width, M slots.
With guidance there are 2 B rows of a cache, the unconditional half behind the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import DiaForConditionalGeneration
from transformers.models.dia.modeling_dia import apply_rotary_pos_emb

from rosella.inference.reading import AHEAD, BACK, LEAST, READERS, STRIDE
from rosella.inference.settings import Filters, Numbers
from rosella.model.config import DiaConfig
from rosella.pytorch.sampling import choose


class Layer(NamedTuple):
    """What a layer of the decoder keeps."""

    keys: Tensor  # [rows, K, M, H]
    values: Tensor
    text_keys: Tensor  # [B, K, S, H]
    text_values: Tensor
    silence: Tensor  # [1, 1, D], what rows beyond B read of their text of zeros


class State(NamedTuple):
    """What a generation keeps, all of it written over in place."""

    layers: tuple[Layer, ...]
    text_bias: Tensor  # [B, 1, 1, S]
    filled: Tensor  # int64 [rows], the slots that hold steps
    step: Tensor  # int64 [B], generated so far
    tokens: Tensor  # int64 [B, C], the last row of the sequence
    ends: Tensor  # int64 [B], the frame in which a row ends
    stopped: Tensor  # bool [B], the row chose that end itself
    written: Tensor  # int64 [B, steps, C]
    frames: Tensor  # int64 [B], of the prompt
    dictated: Tensor  # int64 [B, steps, C], what a prompt's delay fixes in the first steps, else padding
    random: Tensor  # float32 [B, steps, C]
    places: Tensor  # float32 [B, S], how likely each byte is being said, where that is followed (`inference.steady`)
    numbers: Numbers


class Text(NamedTuple):
    """Encoded texts [B, S, D], and as a bias [B, 1, 1, S] what of them is seen."""

    states: Tensor
    bias: Tensor


class Decoding:
    """What a model computes, step by step."""

    def __init__(self, model: DiaForConditionalGeneration, config: DiaConfig) -> None:
        self._model, self.config = model, config
        inner: Any = model.model
        self._encoder, self._decoder = inner.encoder, inner.decoder
        self._delays = torch.tensor(config.delay_pattern, device=model.device)
        self._readers = [_Readers.of(config, layer, model.device) for layer in range(len(self.layers))]

    @property
    def layers(self) -> Any:
        """The decoder's."""
        return self._decoder.layers

    def encode(self, ids: Tensor, lengths: Tensor) -> Text:
        """Texts int64 [B, S], padded at their end; with a key for the padding where a model was trained to see it."""
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        states = self._encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        hidden = torch.finfo(states.dtype).min
        bias = torch.where(mask, 0.0, hidden)
        if self.config.trained_text_length is not None:
            padding = self.config.trained_text_length - lengths[:, None]
            share = torch.where(padding > 0, padding.clamp(min=1).log(), hidden)
            bias = torch.cat([bias, share], 1)
            states = torch.cat([states, self._nothing().expand(len(ids), 1, -1)], 1)
        return Text(states, bias[:, None, None].to(states.dtype))

    def read(self, text: Text) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per layer the keys and values of texts, and what a text of zeros says to whoever asks.

        Keys of a text carry no position and all states of zeros are equal: one stands for all.
        """
        nothing, found = self._nothing(), list[tuple[Tensor, Tensor, Tensor]]()
        for layer in self._decoder.layers:
            reader, size = layer.cross_attention, layer.cross_attention.head_dim
            of_zeros, of_text = (
                (_heads(reader.k_proj(each), size), _heads(reader.v_proj(each), size))
                for each in (nothing, text.states)
            )
            asked = nothing.new_zeros(1, reader.num_heads, 1, size)
            found.append((*of_text, reader.o_proj(_attend(asked, *of_zeros, mask=None))))
        return found

    def decode(
        self,
        tokens: Tensor,
        state: State,
        width: int,
        asked: list[Tensor] | None = None,
        near: Tensor | None = None,
    ) -> Tensor:
        """Decoder states [rows, T, D] of the next T steps [rows, T, C]; the cache has `width` slots filled at most.

        What each layer asks the texts [B, N, T, H] is added to `asked`. Heads that read along see only what is `near`, bool
        [B, 1, 1, S], of one step.
        """
        at = state.filled[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        seen = (torch.arange(width, device=tokens.device) <= at[..., None])[:, None]
        decoder, texts = self._decoder, len(state.text_bias)
        x = decoder.embeddings(tokens)
        angles = decoder.rotary_emb(x, at)
        heard: list[Tensor] = []  # what a graph is made of has no `list[Tensor]()`
        for layer, kept, readers in zip(decoder.layers, state.layers, self._readers, strict=True):
            x = x + _hear(layer.self_attention, layer.pre_sa_norm(x), angles, at, seen, kept)
            reader = layer.cross_attention
            queries = _heads(reader.q_proj(layer.pre_ca_norm(x[:texts])), reader.head_dim)
            if asked is not None:
                asked.append(queries)
            bias = state.text_bias
            if near is not None and readers is not None:
                heard.append(readers.looks(queries, kept, _hiding(bias, near)))
                bias = _hiding(bias, near | ~readers.bound)
            read = reader.o_proj(_attend(queries, kept.text_keys, kept.text_values, bias))
            x = x + torch.cat([read, kept.silence.expand(len(x) - texts, *read.shape[1:])])
            x = x + layer.mlp(layer.pre_mlp_norm(x))
        state.filled.add_(tokens.shape[1])
        if near is not None:
            state.places.copy_(_gone_on(state.places, torch.cat(heard, 1).mean(1)))
        return decoder.norm(x)

    def step(self, state: State, width: int, filters: Filters) -> None:
        """The next row of every sequence."""
        tokens = torch.cat([state.tokens] * (1 + filters.guided))[:, None]
        decoder = self.config.decoder
        near = _near(state) if filters.steady and self.config.readers else None
        logits = self._model.logits_dense(self.decode(tokens, state, width, near=near)).float()
        logits = logits.view(len(tokens), decoder.num_channels, decoder.vocab_size)
        random = _at(state.random, state.step)
        self._advance(state, choose(logits, random, state.numbers, filters, decoder.eos_token_id))

    def unfinished(self, state: State) -> Tensor:
        """Rows bool [B] of which a codebook is still to be generated."""
        return state.step + state.frames - self._delays.max() < state.ends

    def _advance(self, state: State, chosen: Tensor) -> None:
        """Writes the chosen ids where the delay pattern dictates no others: begin and prompt, end and padding."""
        decoder = self.config.decoder
        frames = (state.frames + state.step)[:, None] - self._delays
        ended = (chosen[:, 0] == decoder.eos_token_id) & (frames[:, 0] <= state.ends)
        state.ends.copy_(torch.where(ended, frames[:, 0], state.ends))
        state.stopped.logical_or_(ended)
        tokens = torch.where(frames == state.ends[:, None], decoder.eos_token_id, chosen)
        tokens = torch.where(frames > state.ends[:, None], decoder.pad_token_id, tokens)
        dictated = _at(state.dictated, state.step.clamp(max=state.dictated.shape[1] - 1))
        state.tokens.copy_(torch.where(dictated == decoder.pad_token_id, tokens, dictated))
        state.written.scatter_(1, _index(state.written, state.step), state.tokens[:, None])
        state.step.add_(1)

    def _nothing(self) -> Tensor:
        """The encoder's state [1, 1, D] of a lone zero."""
        return self._encoder(input_ids=self._delays.new_zeros(1, 1)).last_hidden_state


class _Readers(NamedTuple):
    """The heads of a layer that read along."""

    bound: Tensor  # bool [N, 1, 1]
    believed: Tensor  # int64, the heads by which the place is followed
    theirs: Tensor  # int64, the key heads that these read

    @classmethod
    def of(cls, config: DiaConfig, layer: int, device: torch.device) -> _Readers | None:
        """None where there are none."""
        decoder = config.decoder
        heads = range(decoder.cross_num_attention_heads)
        bound = torch.tensor([(layer, head) in config.readers for head in heads], device=device)
        believed = [head for at, head in config.readers[:READERS] if at == layer]
        shared = decoder.cross_num_attention_heads // decoder.cross_num_key_value_heads
        of_heads = torch.tensor(believed, dtype=torch.int64, device=device)
        return cls(bound[:, None, None], of_heads, of_heads // shared) if bound.any() else None

    def looks(self, queries: Tensor, kept: Layer, bias: Tensor) -> Tensor:
        """What those that are believed look at [B, heads, S], of one step."""
        keys = kept.text_keys.index_select(1, self.theirs)
        scores = queries.index_select(1, self.believed) @ keys.transpose(2, 3) + bias
        return scores.float().softmax(-1)[:, :, 0]


def _near(state: State) -> Tensor:
    """The bytes bool [B, 1, 1, S] around what is being said, without a key that stands for padding."""
    places = state.places
    off = torch.arange(places.shape[1], device=places.device) - places.argmax(1, keepdim=True)
    return ((off >= -BACK) & (off <= AHEAD))[:, None, None] & (state.text_bias == 0)


def _hiding(bias: Tensor, seen: Tensor) -> Tensor:
    return torch.where(seen, bias, torch.finfo(bias.dtype).min)


def _gone_on(places: Tensor, look: Tensor) -> Tensor:
    """Places [B, S] a step later, in which heads look at [B, S]."""
    came = places
    for by in range(1, STRIDE + 1):
        came = torch.maximum(came, pad(places, (by, 0), value=-torch.inf)[:, :-by])
    gone = came + (look + LEAST).log()
    return gone - gone.amax(1, keepdim=True)


def _hear(
    attention: Any, x: Tensor, angles: tuple[Tensor, Tensor], at: Tensor, seen: Tensor, kept: Layer
) -> Tensor:
    """What steps [rows, T, D] read of themselves and of those before them, which the cache then holds."""
    projections = attention.q_proj, attention.k_proj, attention.v_proj
    queries, keys, values = (_heads(project(x), attention.head_dim) for project in projections)
    queries, keys = apply_rotary_pos_emb(queries, keys, *angles)
    slots, width = at[:, None, :, None].expand_as(keys), seen.shape[-1]
    kept.keys.scatter_(2, slots, keys)
    kept.values.scatter_(2, slots, values)
    return attention.o_proj(_attend(queries, kept.keys[:, :, :width], kept.values[:, :, :width], seen))


def _at(values: Tensor, step: Tensor) -> Tensor:
    """Of values [B, steps, C] those of each row's own step [B]."""
    return values.gather(1, _index(values, step))[:, 0]


def _index(values: Tensor, step: Tensor) -> Tensor:
    return step[:, None, None].expand(-1, 1, values.shape[2])


def looked(queries: Tensor, kept: Layer, bias: Tensor) -> Tensor:
    """What the sharpest head of a layer looks at [T, S], that asks its text [1, N, T, H]."""
    keys = kept.text_keys
    shared = queries.shape[1] // keys.shape[1]
    looks = (queries @ keys.repeat_interleave(shared, 1).transpose(2, 3) + bias).softmax(-1)[0]
    return looks[looks.amax(2).sum(1).argmax()]


def _heads(x: Tensor, size: int) -> Tensor:
    return x.unflatten(-1, (-1, size)).transpose(1, 2)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention without scaling [B, T, N H]; the queries of one key head stand side by side, so that none is copied."""
    batch, heads, steps, size = queries.shape
    groups = heads // keys.shape[1]
    if mask is not None and mask.shape[1] > 1:
        mask = mask.reshape(batch, keys.shape[1], groups * steps, -1)
    elif mask is not None and mask.shape[2] > 1:
        mask = mask.repeat(1, 1, groups, 1)
    side_by_side = queries.reshape(batch, keys.shape[1], groups * steps, size)
    read = scaled_dot_product_attention(side_by_side, keys, values, mask, scale=1.0)
    return read.reshape(batch, heads, steps, size).transpose(1, 2).flatten(2)
