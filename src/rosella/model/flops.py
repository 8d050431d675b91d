"""How many operations training takes, and how many a device can do: what its use is measured by."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp

from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig

PEAKS = {
    "H100": (989e12, 67e12),
    "H200": (989e12, 67e12),
    "B200": (2250e12, 80e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
    "RTX 4090": (165e12, 82.6e12),
    "RTX 5090": (210e12, 105e12),
    "TPU v4": (275e12, None),
    "TPU v5 lite": (197e12, None),
    "TPU v5e": (197e12, None),
    "TPU v5p": (459e12, None),
    "TPU v5": (459e12, None),
    "TPU v6 lite": (918e12, None),
    "TPU v6e": (918e12, None),
}
"""FLOP/s of one device by what its name holds, the first that fits: dense bfloat16 with sums in float32, and float32.

From the makers' data sheets; a chip without a float32 unit of its own for products has none."""


def training_flops(config: DiaConfig, frames: Any, text_bytes: Any, rows: Any = 1, sequences: int = 1) -> Any:
    """Operations of the matrix products of one step forward and back, of `rows` utterances of that size each.

    Half of causal attention counts, as the other half need not be computed; recomputed activations do not count. With
    blocks the decoder has two `sequences` over one text, which see about the same.
    Numbers or arrays, of NumPy or JAX.
    """
    encoder, decoder = config.encoder, config.decoder
    cross = decoder.cross_num_attention_heads * decoder.cross_head_dim
    per_byte = encoder.num_hidden_layers * _layer(encoder) + decoder.num_hidden_layers * _cross_text(decoder)
    per_frame = decoder.num_hidden_layers * (_layer(decoder) + 2 * decoder.hidden_size * cross)
    per_frame += decoder.hidden_size * decoder.num_channels * decoder.vocab_size
    attended = (
        encoder.num_hidden_layers * _attention_width(encoder) * text_bytes * text_bytes
        + sequences * decoder.num_hidden_layers * _attention_width(decoder) * frames * frames / 2
        + sequences * decoder.num_hidden_layers * cross * frames * text_bytes
    )
    forward = 2.0 * (per_byte * text_bytes + sequences * per_frame * frames + 2 * attended)
    return 3 * rows * forward  # the backward pass costs twice the forward one


def device_peak(dtype: str) -> float | None:
    """FLOP/s that one device of this process can do in `float32` or `bfloat16`; None where it is not known.

    Of a CPU it is measured, within half a second.
    """
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return product_rate(dtype)
    known = (peaks for name, peaks in PEAKS.items() if name.lower() in device.device_kind.lower())
    half, single = next(known, (None, None))
    return half if dtype == "bfloat16" else single


def product_rate(dtype: Any, size: int = 1024) -> float:
    """FLOP/s of a square matrix product of a type, its sums in float32; the fastest of a few."""
    x = jnp.ones((size, size), dtype)
    product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32)).lower(x).compile()
    product(x).block_until_ready()
    seconds: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        product(x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _layer(part: EncoderConfig | DecoderConfig) -> int:
    """Weights of a layer's self-attention and feed-forward."""
    attention = 2 * (part.num_attention_heads + part.num_key_value_heads) * part.head_dim
    return part.hidden_size * (attention + 3 * part.intermediate_size)


def _cross_text(decoder: DecoderConfig) -> int:
    """Weights that turn the encoded text into keys and values, in one layer."""
    return 2 * decoder.cross_hidden_size * decoder.cross_num_key_value_heads * decoder.cross_head_dim


def _attention_width(part: EncoderConfig | DecoderConfig) -> int:
    return part.num_attention_heads * part.head_dim
