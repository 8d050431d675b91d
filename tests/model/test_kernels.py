"""The kernels of accelerators against XLA. Where their platform is here they run; else splash attention is interpreted, and
XLA computes what is asked of cuDNN."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo
from jax.sharding import NamedSharding, PartitionSpec

from rosella.model import attention, kernels
from rosella.model.attention import attend
from rosella.model.masking import HIDDEN, Mask
from rosella.model.sharding import AXES, ROWS, make_mesh
from support import ROOT

PLATFORM = jax.default_backend()
BOUNDS = {"float32": 1e-5, "bfloat16": 1e-2}
"""Of the error's norm in that of XLA's float32; real kernels take no float32."""
KERNELS = {
    "splash": partial(kernels.splash, interpret=PLATFORM != "tpu"),
    "cudnn": partial(kernels.cudnn, implementation="cudnn" if PLATFORM == "gpu" else "xla"),
}
REAL = {"tpu": "splash", "gpu": "cudnn"}
TENSOR = 2 - jax.device_count() % 2
MESH = make_mesh(1, jax.device_count() // TENSOR, TENSOR)
BATCH, STEPS, TEXT = 2 * MESH.shape["fsdp"], 301, 141


def ids(*lengths: int) -> jax.Array:
    """Segments [B, sum of lengths], in each row turned by one utterance."""
    turned = [lengths[row % len(lengths) :] + lengths[: row % len(lengths)] for row in range(BATCH)]
    return jnp.array([np.repeat(np.arange(len(lengths)), row) for row in turned], jnp.int32)


def lengths(most: int) -> jax.Array:
    return jnp.arange(BATCH, dtype=jnp.int32) * 50 % most  # a text of none completes a batch


SELF, READ = ids(100, 150, 51), ids(40, 61, 40)
MASKS = {
    "all": (Mask(), STEPS, TEXT),
    "causal": (Mask(causal=True), STEPS, STEPS),
    "packed": (Mask(causal=True, queries=SELF, keys=SELF), STEPS, STEPS),
    "padded text": (Mask(lengths=lengths(TEXT)), TEXT, TEXT),
    "cross": (Mask(lengths=lengths(TEXT)), STEPS, TEXT),
    "packed cross": (Mask(queries=SELF, keys=READ), STEPS, TEXT),
}
CASES = [
    (name, dtype, case)
    for name in KERNELS
    for dtype in BOUNDS
    for case in MASKS
    if (dtype == "bfloat16" if REAL.get(PLATFORM) == name else dtype == "float32" or case == "packed")
]


def draw(steps, keys, heads=4, key_heads=2, width=16):
    """Queries, keys, values and the weights of what is read, which differentiate it."""
    shapes = [(heads, steps), (key_heads, keys), (key_heads, keys), (heads, steps)]
    each = zip(jax.random.split(jax.random.key(0), 4), shapes, strict=True)
    return [jax.random.normal(key, (BATCH, *shape, width)) for key, shape in each]


def read_and_gradients(read, q, k, v, weights):
    def loss(q, k, v):
        made = read(q, k, v).astype(jnp.float32)
        return jnp.sum(made * weights), made * (weights != 0)

    (_, made), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(q, k, v)
    return made, *gradients


@pytest.mark.parametrize(("name", "dtype", "case"), CASES)
def test_every_kernel_reads_and_differentiates_as_xla_does(monkeypatch, name, dtype, case):
    monkeypatch.setattr(kernels, "BLOCKS", (kernels.LEAST, kernels.LEAST))  # several of them
    mask, steps, keys = MASKS[case]
    q, k, v, weights = draw(steps, keys)
    seen = (mask.additive(steps, keys) > HIDDEN / 2).any(-1, keepdims=True)
    weights = weights * seen  # the loss counts nothing that reads nothing
    wanted = read_and_gradients(lambda *x: attend(jnp.dtype("float32"), *x, mask), q, k, v, weights)
    placed = [jax.device_put(x, NamedSharding(MESH, PartitionSpec(*ROWS, "tensor"))) for x in (q, k, v)]

    def kernel(*factors):
        with jax.sharding.use_abstract_mesh(MESH.abstract_mesh):
            return kernels.on_each_device(KERNELS[name], *(x.astype(dtype) for x in factors), mask)

    found = read_and_gradients(kernel, *placed, weights)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.linalg.norm(ours - theirs) < BOUNDS[dtype] * np.linalg.norm(theirs)


@pytest.mark.slow
def test_rows_and_heads_may_lie_over_four_devices():
    of = f"{__file__}::{test_every_kernel_reads_and_differentiates_as_xla_does.__name__}"
    cases = [f"{of}[splash-float32-packed]", f"{of}[cudnn-float32-padded text]"]
    command = [sys.executable, "-m", "pytest", "-q", *cases]
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env={**os.environ, **flags}, cwd=ROOT, capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout


def on(monkeypatch, platform):
    for module in (attention, kernels):
        monkeypatch.setattr(module, "platform", lambda: platform)
    monkeypatch.setattr(kernels, "_ampere", lambda: True)
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91000)


HALF = jnp.dtype("bfloat16")


@pytest.mark.parametrize("case", MASKS)
@pytest.mark.parametrize(
    ("platform", "lowering", "call"),
    [("tpu", "tpu", "tpu_custom_call"), ("gpu", "cuda", "__cudnn$fmha"), ("cpu", "cpu", None)],
)
def test_the_program_of_a_platform_calls_its_kernel(monkeypatch, platform, lowering, call, case):
    mask, steps, keys = MASKS[case]
    on(monkeypatch, platform)
    traced = jax.jit(jax.grad(lambda *x: attend(HALF, *x, mask).sum(), (0, 1, 2)))
    program = traced.trace(*draw(steps, keys)[:3]).lower(lowering_platforms=(lowering,)).as_text()
    if call:
        assert call in program and "stablehlo.exponential" not in program
    else:
        assert "custom_call" not in program and "stablehlo.exponential" in program


BIASED = Mask(bias=jnp.zeros((1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("dtype", "steps", "width", "mask", "shards", "served"),
    [
        (HALF, 200, 16, Mask(), (2, 2), {"tpu", "gpu"}),
        (jnp.dtype("float32"), 200, 16, Mask(), (1, 1), set()),
        (HALF, 100, 16, Mask(), (1, 1), set()),
        (HALF, 200, 16, BIASED, (1, 1), set()),
        (HALF, 200, 16, Mask(), (3, 1), set()),
        (HALF, 200, 16, Mask(), (1, 4), set()),
        (HALF, 200, 12, Mask(), (1, 1), {"tpu"}),
        (HALF, 200, 256, Mask(), (1, 1), {"tpu"}),
    ],
)
def test_what_no_kernel_serves_is_left_to_xla(monkeypatch, dtype, steps, width, mask, shards, served):
    q, k = jnp.zeros((4, 4, steps, width)), jnp.zeros((4, 2, steps, width))
    monkeypatch.setattr(kernels, "shards", lambda: shards)
    found = set()
    for platform in ("tpu", "gpu", "cpu", None):
        on(monkeypatch, platform)
        if kernels.choose(dtype, q, k, mask) is not None:
            found.add(platform)
    assert found == served


def test_kernels_can_be_forbidden(monkeypatch):
    on(monkeypatch, "tpu")
    program = jax.jit(partial(attend, HALF, mask=Mask(), own_kernels=False)).lower(*draw(200, 200)[:3])
    assert "exponential" in program.as_text()


def test_on_several_devices_each_computes_its_own_rows_and_heads(monkeypatch):
    on(monkeypatch, "tpu")
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1, 2, 2), AXES)):
        program = jax.make_jaxpr(partial(attend, HALF, mask=Mask()))(*draw(200, 200)[:3])
    assert "shard_map" in str(program)


@pytest.mark.parametrize(("length", "block"), [(100, 128), (128, 128), (129, 256), (2600, 384), (1024, 512)])
def test_blocks_complete_a_length_with_little_padding(length, block):
    assert kernels._block(length) == block
