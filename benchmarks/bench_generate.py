"""Generation with the mini model: frames a second against the time to read what each step must read.

Two hundred frames with guidance. The floor is the bytes of a step (weights once, keys and values of both
branches) at the rate at which this machine reads memory.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from _machine import row
from flax import nnx

from rosella.inference.generate import FRAME_STEP, generate
from rosella.inference.sampling import Sampling
from rosella.model.config import DiaConfig, mini
from rosella.model.transformer import Dia

FRAMES, BYTES = 200, 64


def main() -> None:
    model, read = Dia(mini(), nnx.Rngs(0)), read_rate()
    for rows in (1, 8):
        compiling, seconds = generate_seconds(model, rows)
        frames = FRAMES + max(mini().delay_pattern)
        floor = frames * step_bytes(mini(), rows) / read
        result = (
            f"{rows * FRAMES / seconds:.0f} frames/s, {seconds / frames * 1e3:.1f} ms a step, "
            f"{floor / seconds:.0%} of the floor, compiled in {compiling:.0f} s"
        )
        print(row(f"mini generation, {rows} rows", result))


def generate_seconds(model: Dia, rows: int) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and of the fastest of the next."""
    text, lengths = np.full((rows, BYTES), 97, np.int32), np.full(rows, BYTES)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        made = generate(model, text, lengths, max_frames=FRAMES, sampling=Sampling(top_p=1.0))
        seconds.append(time.perf_counter() - start)
        assert all(len(codes) == FRAMES for codes in made.codes), (
            "a row ended early: the floor does not apply"
        )
    return seconds[0], min(seconds[1:])


def step_bytes(config: DiaConfig, rows: int) -> float:
    """Bytes a guided float32 step must read: the decoder's matrices, and the cache of both branches."""
    decoder = config.decoder
    shapes = nnx.state(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0))), nnx.Param)
    sizes = {"/".join(path): leaf.size for path, leaf in nnx.to_flat_state(shapes)}
    skipped = (
        "encoder",
        "decoder/embedding",
        "decoder/layers/cross_attention/key",
        "decoder/layers/cross_attention/value",
    )
    weights = sum(size for name, size in sizes.items() if not name.startswith(skipped))
    slots = 1 + -(-(FRAMES + max(config.delay_pattern)) // FRAME_STEP) * FRAME_STEP
    own = slots * decoder.num_key_value_heads * decoder.head_dim
    cross = BYTES * decoder.cross_num_key_value_heads * decoder.cross_head_dim
    return 4 * (weights + 2 * rows * decoder.num_hidden_layers * 2 * (own + cross))


def read_rate(megabytes: int = 256) -> float:
    """Bytes a second read by a sum over an array larger than the caches."""
    x = jnp.ones(megabytes * 2**18, jnp.float32)
    total = jax.jit(jnp.sum).lower(x).compile()
    total(x).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        total(x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return x.nbytes / min(seconds)


if __name__ == "__main__":
    main()
