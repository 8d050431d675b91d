"""Generation beside Transformers' and beside its floor: frames a second on random weights.

Of the mini model and of one of 54 M parameters, with guidance and without, in JAX and in PyTorch, and in each
precision; each system in a process of its own, in turn. The floor is the time to read what each float32 step must read
(weights once, keys and values of both branches) at the rate at which this machine reads memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from _machine import row
from bench_model import config_of

from rosella import threads

ROUNDS = 2
PRECISIONS = ("float32", "bfloat16", "int8")
FRAMES, BYTES = 200, 64


def main() -> None:
    for name, rows, guided in (("mini", 1, True), ("mini", 8, True), ("54M", 1, True), ("54M", 1, False)):
        ours, torch, theirs = in_turn(("ours", "torch", "theirs"), name, rows, guided)
        guidance = "guided" if guided else "without guidance"
        result = (
            f"{ours['speed']:.0f} frames/s, {ours['share']:.0%} of the floor, in PyTorch {torch['speed']:.0f}, "
            f"Transformers {theirs['speed']:.0f}: {ours['speed'] / theirs['speed']:.1f} x"
        )
        print(row(f"generation, {name}, rows {rows}, {guidance}, float32", result), flush=True)
    for name in ("mini", "54M"):
        for side, made in zip(PRECISIONS, in_turn(PRECISIONS, name, 1, True), strict=True):
            result = f"{made['speed']:.0f} frames/s, {made['megabytes']:.0f} MB of the decoder's weights"
            print(row(f"generation, {name}, rows 1, guided, {side}", result), flush=True)


def in_turn(sides: Sequence[str], name: str, rows: int, guided: bool) -> list[dict[str, float]]:
    """The best run of each."""
    runs = [[measure(side, name, rows, guided) for side in sides] for _ in range(ROUNDS)]
    return [max(each, key=lambda run: run["speed"]) for each in zip(*runs, strict=True)]


def measure(side: str, name: str, rows: int, guided: bool) -> dict[str, float]:
    """In a process of its own."""
    command = [sys.executable, __file__, side, name, str(rows), str(int(guided))]
    return json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )


def ours(name: str, rows: int, guided: bool, precision: Any = "float32") -> dict[str, float]:
    import jax
    from flax import nnx

    from rosella.inference.generate import generate
    from rosella.inference.precision import ready
    from rosella.inference.settings import Sampling
    from rosella.model.transformer import Dia

    config = config_of(name)
    model, weights = ready(Dia(config, nnx.Rngs(0)), precision)
    text, lengths = np.full((rows, BYTES), 97, np.int32), np.full(rows, BYTES)
    sampling = Sampling(guidance=3.0 if guided else 1.0, top_p=1.0)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        made = generate(model, text, lengths, max_frames=FRAMES, sampling=sampling, weights=weights)
        seconds.append(time.perf_counter() - start)
        assert all(len(codes) == FRAMES for codes in made.codes), (
            "a row ended early: the floor does not apply"
        )
    floor = (FRAMES + config.longest_delay) * step_bytes(name, rows, guided) / read_rate()
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(weights)) / 1e6
    return {"speed": rows * FRAMES / min(seconds[1:]), "share": floor / min(seconds[1:]), "megabytes": held}


def torch(name: str, rows: int, guided: bool) -> dict[str, float]:
    from transformers import DiaConfig, DiaForConditionalGeneration

    from rosella.inference.settings import Sampling
    from rosella.pytorch.generate import Model

    config = config_of(name)
    model = Model(DiaForConditionalGeneration(DiaConfig.from_dict(config.to_dict())).eval(), config)
    text, lengths = np.full((rows, BYTES), 97, np.int32), np.full(rows, BYTES)
    sampling = Sampling(guidance=3.0 if guided else 1.0, top_p=1.0)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        running = model.begin(text, lengths, FRAMES, sampling=sampling)
        running.advance()
        seconds.append((time.perf_counter() - start) * (FRAMES + config.longest_delay) / running.step)
    return {"speed": rows * FRAMES / min(seconds[1:])}


def theirs(name: str, rows: int, guided: bool) -> dict[str, float]:
    import torch
    from transformers import DiaConfig, DiaForConditionalGeneration

    config = config_of(name)
    torch.manual_seed(0)
    model = DiaForConditionalGeneration(DiaConfig.from_dict(config.to_dict())).eval()
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 50, "guidance_scale": 3.0 if guided else 1.0}
    text = torch.full((rows * (1 + guided), BYTES), 97)
    text[rows:] = 0  # the unconditional half
    steps = FRAMES + config.longest_delay
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        made = model.generate(
            input_ids=text,
            attention_mask=torch.ones_like(text),
            max_new_tokens=steps,
            min_new_tokens=steps,
            **settings,
        )
        seconds.append((time.perf_counter() - start) * steps / made.shape[1])
    return {"speed": rows * FRAMES / min(seconds)}


def step_bytes(name: str, rows: int, guided: bool) -> float:
    """Bytes a float32 step must read: the decoder's matrices, and the cache of all branches."""
    from flax import nnx

    from rosella.inference.layout import SLOTS, doubled
    from rosella.model.transformer import Dia

    config = config_of(name)
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
    slots = doubled(FRAMES + config.longest_delay, SLOTS)
    own = slots * decoder.num_key_value_heads * decoder.head_dim
    cross = BYTES * decoder.cross_num_key_value_heads * decoder.cross_head_dim
    return 4 * (weights + (1 + guided) * rows * decoder.num_hidden_layers * 2 * (own + cross))


def read_rate(megabytes: int = 256) -> float:
    """Bytes a second read by a sum over an array larger than the caches."""
    import jax
    import jax.numpy as jnp

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
    if sys.argv[1:]:
        side, name, rows, guided = sys.argv[1:]
        threads.wait_asleep()
        held = {precision: partial(ours, precision=precision) for precision in PRECISIONS}
        run = {"ours": ours, "torch": torch, "theirs": theirs, **held}[side]
        print(json.dumps(run(name, int(rows), guided == "1")))
    else:
        main()
