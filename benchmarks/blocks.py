"""A step that learns blocks beside one that learns the next step alone, and how the loss of blocks scatters with the noise.

usage: python benchmarks/blocks.py [--model mini] [--export corpus]

*A step*: time, operations and temporary memory, of packed rows of utterances of 40 to 600 frames of random codes; both kinds
in turn. *The loss* of one validation batch of an export, nothing learnt between draws: mean and standard deviation.
*Speaking*: seconds of speech a second of one row and of eight, one step after another and in blocks, in turn, and how long
until a stream of each row is heard first; what is said is noise.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _machine import row

from rosella.inference.generate import Running
from rosella.inference.settings import Blocks, Sampling
from rosella.model.config import DiaConfig
from rosella.model.sharding import make_mesh
from rosella.model.transformer import Dia
from rosella.shards.read import Export
from rosella.speak import load
from rosella.speak.recital import FIRST
from rosella.speak.speaker import Speaker
from rosella.training import batches, objective, order
from rosella.training.batches import Batch
from rosella.training.optimizer import make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.state import Skeleton, fresh_state
from rosella.training.step import make_step
from rosella.weights import load_model

SIZES = (8, 16)
NOISE = ((0.02, 1.0), (0.35, 1.0), (0.7, 1.0))
ROUNDS, DRAWS = 5, 32
WAYS = (None, Blocks(8, 2), Blocks(16, 1), Blocks(16, 2), Blocks(16, 4))
FRAMES, BYTES = 192, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--export")
    options = parser.parse_args()
    model, config = load_model(options.model)
    speaking(options.model, load(options.model))
    steps(options.model, model, config)
    if options.export is not None:
        scatter(options.model, model, config, options.export)


def recipe(export: str = "none", **changes: Any) -> Recipe:
    data = {"export": export, "max_frames": 600, "batch_frames": 2400, "pack": 600}
    return Recipe.model_validate({"steps": 100, "data": data, **changes})


def in_blocks(size: int, noise: tuple[float, float] = (0.35, 1.0), export: str = "none") -> Recipe:
    return recipe(export, objective="blocks", blocks={"size": size, "noise": noise})


def steps(name: str, model: Dia, config: DiaConfig) -> None:
    """The fastest of a few steps of each kind, of which every round has one."""
    batch, kinds = (
        synthetic(config),
        {"next": recipe(), **{f"blocks of {s}": in_blocks(s) for s in SIZES}},
    )
    runs = {kind: compiled(model, batch, chosen) for kind, chosen in kinds.items()}
    seconds = {kind: [run(*runs[kind], batch) for _ in range(ROUNDS)] for kind in runs}
    for kind in list(kinds)[1:]:
        (ours, _), (without, _) = runs[kind], runs["next"]
        operations = [program.cost_analysis()["flops"] for program in (ours, without)]
        memory = [program.memory_analysis().temp_size_in_bytes for program in (ours, without)]
        result = f"{min(seconds[kind]) / min(seconds['next']):.2f} x the time of the next step alone, "
        result += (
            f"{operations[0] / operations[1]:.2f} x the operations, {memory[0] / memory[1]:.2f} x the memory"
        )
        print(row(f"training step, {name}, {kind}", result), flush=True)


def speaking(name: str, speaker: Speaker) -> None:
    """The fastest of a few, guided and with the filters that `speak` has by default."""
    for rows in (1, 8):
        rounds = [[measured(speaker, rows, way) for way in WAYS] for _ in range(1 + ROUNDS)][1:]
        found = {
            way: list(zip(*each, strict=True))
            for way, each in zip(WAYS, zip(*rounds, strict=True), strict=True)
        }
        one = max(found[None][0])
        told = [
            f"{named(way)} {max(speeds):.1f} ({max(speeds) / one:.2f} x), heard after {1000 * min(waits):.0f} ms"
            for way, (speeds, waits) in found.items()
        ]
        print(row(f"speaking, {name}, rows {rows}, guided, x real time", "; ".join(told)), flush=True)


def named(blocks: Blocks | None) -> str:
    return f"blocks of {blocks.size} by {blocks.passes}" if blocks else "one step after another"


def measured(speaker: Speaker, rows: int, blocks: Blocks | None) -> tuple[float, float]:
    """Seconds of speech a second of all rows together, and seconds until a stream of each is heard first: what is left of a
    block, or a tenth of a second. So hot that none ends by itself soon.
    """
    text, lengths, codec = np.full((rows, BYTES), 97, np.int32), np.full(rows, BYTES), speaker.codec
    sampling = Sampling(guidance=1.5, temperature=2.5, blocks=blocks)
    first = max(round(FIRST * codec.frame_rate), sampling.at_once)
    began = time.perf_counter()
    running = Running(speaker.model, text, lengths, FRAMES, None, sampling, weights=speaker.weights)
    running.advance(speaker.config.longest_delay + codec.context + first)
    codec.decode(running.so_far().codes)
    heard = time.perf_counter()
    running = Running(speaker.model, text, lengths, FRAMES, None, sampling, weights=speaker.weights)
    running.advance()
    said = sum(map(len, running.so_far().codes)) / codec.frame_rate
    return said / (time.perf_counter() - heard), heard - began


def compiled(model: Dia, batch: Batch, chosen: Recipe) -> tuple[Any, list[Any]]:
    """The program of a step, and the state it goes on from."""
    skeleton, params = Skeleton.of(model)
    state = fresh_state(jax.tree.map(jnp.copy, params), make_optimizer(chosen.optimizer), 0)
    return make_step(skeleton, chosen, make_mesh(1, 1, 1)).lower(state, batch).compile(), [state]


def run(program: Any, kept: list[Any], batch: Batch) -> float:
    began = time.perf_counter()
    kept[0], _ = jax.block_until_ready(program(kept[0], batch))
    return time.perf_counter() - began


def synthetic(config: DiaConfig) -> Batch:
    random = np.random.default_rng(0)
    frames = random.integers(40, 600, 48)
    texts, ones = order.Texts([bytes([97]) * (n // 4) for n in frames]), np.ones(len(frames), np.float32)
    split = order.Split(np.arange(len(frames)), texts, frames, ones, ones, {})
    books = config.decoder.num_channels, config.decoder.eos_token_id
    buckets = order.choose_buckets([split], recipe().data, config.steps(0))
    planned = order.plan_validation(split, buckets, 1, config.steps(0))[0]
    return batches.assemble(
        lambda i: random.integers(0, books[1], (frames[i], books[0])), split, config, planned
    )


def scatter(name: str, model: Dia, config: DiaConfig, directory: str) -> None:
    export = Export.open(directory)
    split = order.read_split(export, recipe(directory).data, "validation")
    buckets = order.choose_buckets([split], recipe(directory).data, config.steps(0))
    planned = order.plan_validation(split, buckets, 1, config.steps(0))[0]
    batch = batches.assemble(batches.codes_reader(export, split), split, config, planned)
    for size in SIZES:
        told = []
        for noise in NOISE:
            losses = drawn(model, batch, in_blocks(size, noise, directory), config)
            told.append(f"{noise[0]}-{noise[1]}: {losses.mean():.2f} ± {losses.std():.3f}")
        result = f"nats by noise: {', '.join(told)}"
        print(row(f"loss of one batch, {name}, blocks of {size}", result), flush=True)


def drawn(model: Dia, batch: Batch, chosen: Recipe, config: DiaConfig) -> np.ndarray:
    """The loss of a batch under other noise each time, without text dropout."""

    @jax.jit
    def loss(key: jax.Array) -> jax.Array:
        given, _ = objective.drop(batch, key, chosen.model_copy(update={"text_dropout": 0.0}), config.decoder)
        counts = objective.count(given, chosen, config.decoder)
        return objective.learn(model, given, counts, jnp.int32(0), chosen)[1]["loss"]

    return np.array([loss(key) for key in jax.random.split(jax.random.key(0), DRAWS)])


if __name__ == "__main__":
    main()
