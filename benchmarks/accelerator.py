"""Dia-1.6B on one accelerator, as recipes/dia.yaml trains it and as it speaks, beside what the plan says and the floors.

Utilisation is the useful work of a step in the datasheet's peak, and in the rate of one large product measured here.
The floor of generation is the time to read what each step must read, at the rate at which the device reads memory.

usage: python benchmarks/accelerator.py [dia_1_6b | mini]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from _machine import row
from bench_generate import read_rate

from rosella import devices

if TYPE_CHECKING:
    from rosella.model.config import DiaConfig
    from rosella.training.batches import Batch
    from rosella.training.order import Bucket
    from rosella.training.recipe import Recipe

FRAMES_PER_BYTE = 5
SECOND = 86  # frames


def main() -> None:
    name = sys.argv[1] if sys.argv[1:] else "dia_1_6b"
    if name != "mini" and not devices.cards():
        print("accelerator: this machine has no card; try it with mini")
        return
    for job in (
        "train equal",
        "train mixed",
        "speak 1 guided",
        "speak 1 unguided",
        "speak 32 guided",
        "speak 1 guided 16",
    ):
        done = subprocess.run([sys.executable, __file__, name, *job.split()], capture_output=True, text=True)
        if done.returncode:
            print(f"{job}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        else:
            made = json.loads(done.stdout.splitlines()[-1])
            print(row(f"{name}, {job}, {made.pop('device')}, bfloat16", made.pop("result")), flush=True)


def train(name: str, mix: str) -> str:
    import jax
    from flax import nnx

    from rosella.model.config import preset
    from rosella.model.flops import device_peak, product_rate, training_flops
    from rosella.model.sharding import make_mesh
    from rosella.model.transformer import Dia
    from rosella.training.optimizer import make_optimizer
    from rosella.training.plan.estimate import estimate
    from rosella.training.speed import peak_memory
    from rosella.training.state import Skeleton, fresh_state
    from rosella.training.step import make_step

    config, longest, rows = preset(name, {}), 30 * SECOND if name != "mini" else 300, 8
    recipe, bucket, prepared, useful = workload(config, mix, longest, rows)
    skeleton, params = Skeleton.of(Dia(config, nnx.Rngs(0)).computing("bfloat16", recipe.remat))
    step = make_step(skeleton, recipe, make_mesh(1, 1, 1))
    state = fresh_state(params, make_optimizer(recipe.optimizer), 0)
    begun = time.perf_counter()
    state, _ = step(state, prepared[0])
    jax.block_until_ready(state)
    compiling, times, metrics = time.perf_counter() - begun, list[float](), dict[str, float]()
    for _ in range(3):
        begun = time.perf_counter()
        for batch in prepared:
            state, metrics = step(state, batch)
        jax.block_until_ready(state)
        times.append((time.perf_counter() - begun) / len(prepared))
    assert np.isfinite(float(metrics["loss"]))
    seconds = min(times)
    work = training_flops(config, useful, useful // FRAMES_PER_BYTE).sum() / len(prepared) / seconds
    told = estimate(recipe, config, (1, 1, 1), bucket).needed(rows)
    peak, measured = device_peak("bfloat16"), product_rate("bfloat16", 8192 if name != "mini" else 1024)
    of_peak = f"{work / peak:.1%} of the datasheet's {peak / 1e12:.0f}, " if peak else ""
    return (
        f"{seconds * 1000:.0f} ms a step of {rows} rows of {longest} frames, "
        f"{useful.sum() / len(prepared) / seconds:.0f} useful frames/s, {work / 1e12:.0f} TFLOP/s: {of_peak}"
        f"{work / measured:.1%} of the {measured / 1e12:.0f} of a product; "
        f"first step {compiling:.0f} s; peak {peak_memory() / 2**30:.1f} GiB, estimated {told / 2**30:.1f}"
    )


def workload(
    config: DiaConfig, mix: str, longest: int, rows: int
) -> tuple[Recipe, Bucket, list[Batch], np.ndarray]:
    """The recipe, the shape of its batches, four of them, and the frames of the utterances in these."""
    from rosella.training import batches, order
    from rosella.training.recipe import Recipe

    seconds = np.random.default_rng(1).gamma(2.0, 3.0, 200)
    frames = np.clip(SECOND * seconds, 2 * SECOND, longest).astype(int)
    if mix == "equal":
        frames = np.full(4 * rows, longest)
    data = {
        "export": "none",
        "max_frames": longest,
        "max_text_bytes": 1024,
        "batch_frames": longest * rows,
        "pack": longest,
    }
    recipe = Recipe.model_validate(
        {"steps": 100, "data": data, "compute_dtype": "bfloat16", "remat": "full", "text_dropout": 0.15}
    )
    texts = order.Texts([bytes([97]) * (size // FRAMES_PER_BYTE) for size in frames])
    ones = np.ones(len(frames), np.float32)
    split = order.Split(np.arange(len(frames)), texts, frames, ones, ones, {})
    overhead = config.steps(0)
    buckets = order.choose_buckets([split], recipe.data, overhead)
    plan = order.plan_training(split, buckets, recipe.data, 4, 0, overhead)
    random, books = np.random.default_rng(0), (config.decoder.num_channels, config.decoder.eos_token_id)
    codes = [random.integers(0, books[1], (size, books[0])).astype(np.uint16) for size in frames]
    prepared = [batches.assemble(codes.__getitem__, split, config, item) for item in plan]
    members = np.concatenate([item.members.ravel() for item in plan])
    return recipe, buckets[0], prepared, frames[members[members >= 0]]


def speak(name: str, rows: str, guided: str, size: str = "1") -> str:
    """So many rows at once, step by step, or in blocks of a size by four passes, as a model that learnt them would."""
    from flax import nnx

    from rosella.inference.generate import generate
    from rosella.inference.layout import SLOTS, doubled
    from rosella.inference.settings import Blocks, Sampling
    from rosella.model.config import preset
    from rosella.model.transformer import Dia

    config, many, bytes_read = preset(name, {}), int(rows), 100
    frames = 6 * SECOND if name != "mini" else 100
    model = nnx.jit(lambda: Dia(config, nnx.Rngs(0)).computing("bfloat16"))()
    text, lengths = np.full((many, bytes_read), 97, np.int32), np.full(many, bytes_read)
    blocks = None if size == "1" else Blocks(int(size), passes=4)
    sampling, times = Sampling(guidance=3.0 if guided == "guided" else 1.0, blocks=blocks), list[float]()
    made = generate(model, text, lengths, max_frames=frames, sampling=sampling)  # compiles
    for _ in range(2):
        begun = time.perf_counter()
        made = generate(model, text, lengths, max_frames=frames, sampling=sampling)
        times.append(time.perf_counter() - begun)
    steps = max(len(codes) for codes in made.codes) + config.longest_delay
    seconds = sum(len(codes) for codes in made.codes) / SECOND
    speed = f"{seconds / min(times):.1f} s of audio a second, {steps / min(times):.0f} steps/s"
    if blocks is not None:
        return speed
    sizes = {
        "/".join(map(str, path)): leaf.size for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))
    }
    skipped = ("encoder", "decoder/embedding", "decoder/layers/cross_attention/key")
    weights = sum(
        size
        for path, size in sizes.items()
        if not path.startswith((*skipped, "decoder/layers/cross_attention/value"))
    )
    decoder, branches = config.decoder, 2 if guided == "guided" else 1
    slots = doubled(frames + config.longest_delay, SLOTS)
    own = slots * decoder.num_key_value_heads * decoder.head_dim
    cross = bytes_read * decoder.cross_num_key_value_heads * decoder.cross_head_dim
    read = 2 * (weights + branches * many * decoder.num_hidden_layers * 2 * (own + cross))
    rate = read_rate(4096 if name != "mini" else 256)
    return f"{speed}, {steps * read / rate / min(times):.0%} of the floor of reading memory at {rate / 1e12:.2f} TB/s"


if __name__ == "__main__":
    if sys.argv[2:]:
        import jax

        result = {"train": train, "speak": speak}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
        print(json.dumps({"result": result, "device": jax.devices()[0].device_kind}))
    else:
        main()
