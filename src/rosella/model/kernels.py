"""Attention as accelerators bring it: kernels that keep no scores, and skip what a causal attention never sees.

`choose` alone says what is computed by which; whatever they do not serve, `attention` computes with XLA. Axes as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from rosella.model.masking import Mask
from rosella.model.sharding import ROWS, platform, shards

Kernel = Callable[[jax.Array, jax.Array, jax.Array, Mask], jax.Array]
"""What queries [B, N, T, H] read of keys and values [B, K, S, H], all of one type."""

LEAST = 128
"""Queries and keys from which on a kernel is asked: splash attention computes at least so many at once."""
BLOCKS = (512, 384, 256, LEAST)
"""Of how many queries or keys splash attention may hold the scores at once."""
PADDING = -1
"""The segment of what only completes a shape."""


def choose(dtype: jnp.dtype, q_BNTH: jax.Array, k_BKSH: jax.Array, mask: Mask) -> Kernel | None:
    """The kernel for devices of the mesh in use, or None where XLA computes: on a CPU, without a mesh, in float32, with a
    bias, with few queries or keys, and where rows or heads do not divide over the mesh.
    """
    rows, heads = shards()
    batch, key_heads, keys, width = k_BKSH.shape
    divides = batch % rows == 0 and key_heads % heads == 0
    plain = dtype == jnp.bfloat16 and mask.bias is None and min(q_BNTH.shape[2], keys) >= LEAST
    if not (plain and divides):
        return None
    if platform() == "tpu":
        return splash
    return cudnn if platform() == "gpu" and width % 8 == 0 and width <= 128 and _ampere() else None


def on_each_device(
    kernel: Kernel, q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, mask: Mask
) -> jax.Array:
    """What the kernel gives for the rows and heads that each device holds; XLA cannot divide a kernel by itself."""
    if shards() == (1, 1):
        return kernel(q_BNTH, k_BKSH, v_BKSH, mask)
    heads = PartitionSpec(*ROWS, "tensor")
    spread: Any = jax.shard_map(
        kernel, in_specs=(heads, heads, heads, ROWS), out_specs=heads, check_vma=False
    )
    return spread(q_BNTH, k_BKSH, v_BKSH, mask)


def splash(
    q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, mask: Mask, interpret: bool = False
) -> jax.Array:
    """JAX's splash attention for TPUs; `interpret` computes what it would, anywhere."""
    from jax.experimental.pallas.ops.tpu import splash_attention

    steps, (of_queries, of_keys) = q_BNTH.shape[2], (_block(each.shape[2]) for each in (q_BNTH, k_BKSH))
    q_BNTH, k_BKSH, v_BKSH, queries, keys = _padded(q_BNTH, k_BKSH, v_BKSH, mask, of_queries, of_keys)
    shape = q_BNTH.shape[2], k_BKSH.shape[2]
    seen = splash_attention.CausalMask(shape) if mask.causal else splash_attention.FullMask(shape)
    sizes = splash_attention.BlockSizes(
        block_q=of_queries,
        block_kv=of_keys,
        block_q_dkv=of_queries,
        block_kv_dkv=of_keys,
        block_q_dq=of_queries,
        block_kv_dq=of_keys,
    )
    compute: Any = splash_attention.make_splash_mha(
        splash_attention.MultiHeadMask([seen] * q_BNTH.shape[1]),
        block_sizes=sizes,
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    segments = splash_attention.SegmentIds(queries, keys)
    return jax.vmap(compute)(q_BNTH, k_BKSH, v_BKSH, segments)[:, :, :steps]


def cudnn(
    q_BNTH: jax.Array,
    k_BKSH: jax.Array,
    v_BKSH: jax.Array,
    mask: Mask,
    implementation: Literal["cudnn", "xla"] = "cudnn",
) -> jax.Array:
    """cuDNN's flash attention for NVIDIA cards from Ampere on; or what XLA makes of the same arguments."""
    batch, _, steps, _ = q_BNTH.shape
    lengths = jnp.full(batch, k_BKSH.shape[2]) if mask.lengths is None else mask.lengths
    q_BNTH, k_BKSH, v_BKSH, queries, keys = _padded(q_BNTH, k_BKSH, v_BKSH, mask, 2, 2)  # it takes no others
    told = dict[str, Any]()
    if mask.queries is not None:
        told["mask"] = queries[:, None, :, None] == keys[:, None, None, :]
    elif (
        mask.lengths is not None or not mask.causal
    ):  # an empty row sees its padding, since cuDNN must see something
        told["key_value_seq_lengths"] = jnp.maximum(lengths, 1).astype(jnp.int32)
    states = (each.swapaxes(1, 2) for each in (q_BNTH, k_BKSH, v_BKSH))
    read = jax.nn.dot_product_attention(
        *states, scale=1.0, is_causal=mask.causal, implementation=implementation, **told
    )
    return read.swapaxes(1, 2)[:, :, :steps]


def _padded(
    q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, mask: Mask, of_queries: int, of_keys: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """The same in lengths that are multiples, and the segments of queries and keys."""
    batch, _, steps, _ = q_BNTH.shape
    queries, keys = mask.segments(batch, steps, k_BKSH.shape[2])
    more, other = -steps % of_queries, -k_BKSH.shape[2] % of_keys
    q_BNTH = jnp.pad(q_BNTH, ((0, 0), (0, 0), (0, more), (0, 0)))
    k_BKSH, v_BKSH = (jnp.pad(each, ((0, 0), (0, 0), (0, other), (0, 0))) for each in (k_BKSH, v_BKSH))
    queries = jnp.pad(queries, ((0, 0), (0, more)), constant_values=PADDING)
    keys = jnp.pad(keys, ((0, 0), (0, other)), constant_values=PADDING)
    return q_BNTH, k_BKSH, v_BKSH, queries, keys


def _block(length: int) -> int:
    """The block that completes a length with the least padding, the larger of two; the least one for what fits in it."""
    usable = BLOCKS[:-1] if length > LEAST else BLOCKS[-1:]
    return min(usable, key=lambda block: -length % block)


def _ampere() -> bool:
    device: Any = jax.local_devices(backend="gpu")[0]
    return device.device_kind.startswith("NVIDIA") and float(device.compute_capability) >= 8
