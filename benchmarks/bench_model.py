"""The training step of the mini model: useful frames a second and the share of the matrix-product floor.

Forward, backward and AdamW on 24 rows of 160 frames and 64 text bytes. The floor is the time of the step's
matrix products alone, at the rate that this machine reaches on one large product of the same type.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _machine import row
from flax import nnx

from rosella.model.config import mini
from rosella.model.flops import product_rate, training_flops
from rosella.model.transformer import Dia

ROWS, FRAMES, BYTES, STEPS = 24, 160, 64, 4


def main() -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        compiling, seconds = step_seconds(dtype)
        floor = training_flops(mini(), FRAMES, BYTES, ROWS) / product_rate(dtype)
        frames = ROWS * FRAMES / seconds
        result = f"{frames:.0f} frames/s, {floor / seconds:.0%} of the floor, compiled in {compiling:.0f} s"
        print(row(f"mini training step, {jnp.dtype(dtype).name}", result))


def step_seconds(dtype) -> tuple[float, float]:
    """Seconds to compile the step, and seconds of the fastest of a few."""
    random = np.random.default_rng(0)
    text = random.integers(1, 256, (ROWS, BYTES)), np.full(ROWS, BYTES)
    tokens = random.integers(0, 256, (ROWS, FRAMES + 1, mini().decoder.num_channels))
    graph, weights = nnx.split(Dia(mini(), nnx.Rngs(0), dtype))
    optimizer = optax.adamw(1e-4)

    def loss(weights, text, tokens):
        logits = nnx.merge(graph, weights)(*text, tokens[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    def step(weights, state, text, tokens):
        updates, state = optimizer.update(jax.grad(loss)(weights, text, tokens), state, weights)
        return optax.apply_updates(weights, updates), state

    state = optimizer.init(weights)
    start = time.perf_counter()
    step = jax.jit(step, donate_argnums=(0, 1)).lower(weights, state, text, tokens).compile()
    compiling, seconds = time.perf_counter() - start, []
    for _ in range(STEPS):
        start = time.perf_counter()
        weights, state = jax.block_until_ready(step(weights, state, text, tokens))
        seconds.append(time.perf_counter() - start)
    return compiling, min(seconds)


if __name__ == "__main__":
    main()
