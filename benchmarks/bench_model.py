"""The training step beside Transformers' and beside its floor: useful frames a second on the same utterances.

Of the mini model and of one of 54 M parameters; of equal lengths, and of 48 utterances of 40 to 640 frames, which we pack
and Transformers pads in batches of four, shuffled. Forward, backward and AdamW; each system in a process of its own, in
turn. The floor is the time of the useful matrix products at the rate of one large product of the same type. bfloat16
stands beside its floor alone: PyTorch takes minutes a step on a CPU that has no products of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from _machine import row

from rosella import memory
from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig, mini

ROUNDS = 2
FRAMES_PER_BYTE = 4


def main() -> None:
    for name in ("mini", "54M"):
        for mix, dtypes in (("equal", ("float32", "bfloat16")), ("mixed", ("float32",))):
            for dtype in dtypes:
                compare(name, mix, dtype)


def compare(name: str, mix: str, dtype: str) -> None:
    sides = ["ours", "theirs"] if dtype == "float32" else ["ours"]
    runs = [(side, measure(side, name, mix, dtype)) for _ in range(ROUNDS) for side in sides]
    ours, *others = (max((r for s, r in runs if s == side), key=lambda r: r["speed"]) for side in sides)
    result = f"{ours['speed']:.0f} useful frames/s, {ours['share']:.0%} of the floor"
    for theirs in others:
        result += f", Transformers {theirs['speed']:.0f} ({theirs['share']:.0%} of its own): "
        result += f"{ours['speed'] / theirs['speed']:.2f} x"
    print(row(f"training step, {name}, {mix} lengths, {dtype}", result), flush=True)


def measure(side: str, *what: str) -> dict[str, float]:
    """In a process of its own."""
    command = [sys.executable, __file__, side, *what]
    return json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )


def config_of(name: str) -> DiaConfig:
    if name == "mini":
        return mini()
    return DiaConfig(
        encoder=EncoderConfig(256, 3, 8, 8, 32, intermediate_size=1024),
        decoder=DecoderConfig(512, 9, 8, 2, 64, 8, 8, 64, 256, 2048),
    )


def lengths_of(name: str, mix: str) -> np.ndarray:
    """Frames of the utterances."""
    if mix == "equal":
        return np.full(*{"mini": (24, 152), "54M": (4, 496)}[name])
    seconds = np.random.default_rng(1).gamma(2.0, 1.6, 48)
    return np.clip(40 + 50 * seconds, 40, 640).astype(int)


def ours(name: str, mix: str, dtype: str) -> tuple[float, float, np.ndarray]:
    """Seconds of an epoch, the rate of products, and the frames of the utterances, of which full batches repeat a few."""
    import jax
    from flax import nnx

    from rosella.model.flops import product_rate
    from rosella.model.sharding import make_mesh
    from rosella.model.transformer import Dia
    from rosella.training import batches, order
    from rosella.training.optimizer import make_optimizer
    from rosella.training.recipe import Recipe
    from rosella.training.state import Skeleton, fresh_state
    from rosella.training.step import make_step

    config, frames = config_of(name), lengths_of(name, mix)
    longest = int(frames.max())
    data = {"export": "none", "max_frames": longest, "batch_frames": longest * 4}
    data |= {"batch_frames": int(frames.sum())} if mix == "equal" else {"pack": longest}
    recipe = Recipe.model_validate({"steps": 100, "data": data, "compute_dtype": dtype})
    texts = order.Texts([bytes([97]) * (size // FRAMES_PER_BYTE) for size in frames])
    ones = np.ones(len(frames), np.float32)
    split = order.Split(np.arange(len(frames)), texts, frames, ones, ones, {})
    overhead = config.steps(0)
    buckets = order.choose_buckets([split], recipe.data, overhead)
    epoch_batches = len(order.plan_validation(split, buckets, 100, overhead))
    plan = order.plan_training(split, buckets, recipe.data, epoch_batches, 0, overhead)
    random = np.random.default_rng(0)
    books = config.decoder.num_channels, config.decoder.eos_token_id

    def codes(i: int) -> np.ndarray:
        return random.integers(0, books[1], (frames[i], books[0])).astype(np.uint16)

    prepared = [batches.assemble(codes, split, config, item) for item in plan]
    skeleton, params = Skeleton.of(Dia(config, nnx.Rngs(0)).computing(dtype))
    step = make_step(skeleton, recipe, make_mesh(1, 1, 1))
    state = fresh_state(params, make_optimizer(recipe.optimizer), 0)

    def epoch() -> None:
        nonlocal state
        for batch in prepared:
            state, _ = step(state, batch)
        jax.block_until_ready(state)

    members = np.concatenate([item.members.ravel() for item in plan])
    return fastest(epoch), product_rate(dtype, 2048), frames[members[members >= 0]]


def theirs(name: str, mix: str, dtype: str) -> tuple[float, float, np.ndarray]:
    import torch
    from transformers import DiaConfig as TheirConfig
    from transformers import DiaForConditionalGeneration

    config, frames = config_of(name), lengths_of(name, mix)
    model = DiaForConditionalGeneration(TheirConfig.from_dict(config.to_dict()))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    rows = len(frames) if mix == "equal" else 4
    shuffled = np.random.default_rng(0).permutation(frames)
    prepared = [padded(config, shuffled[at : at + rows]) for at in range(0, len(frames), rows)]

    def epoch() -> None:
        for ids, mask, tokens, targets in prepared:
            logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=tokens).logits
            loss = torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    x = torch.ones(2048, 2048, dtype=getattr(torch, dtype))
    return fastest(epoch), 2 * 2048**3 / fastest(lambda: x @ x, 5), frames


def padded(config: DiaConfig, frames: np.ndarray) -> Iterator[object]:
    """Ids, mask, tokens and targets, of which padding is ignored."""
    import torch

    random, width = np.random.default_rng(0), int(frames.max()) // FRAMES_PER_BYTE
    steps, books = config.steps(int(frames.max())), config.decoder.num_channels
    mask = np.arange(width) < (frames // FRAMES_PER_BYTE)[:, None]
    tokens = random.integers(0, config.decoder.eos_token_id, (len(frames), steps, books))
    hidden = np.arange(steps)[None, :, None] >= (frames + config.steps(0))[:, None, None]
    targets = np.where(hidden, -100, tokens).transpose(0, 2, 1)
    return tuple(torch.tensor(np.ascontiguousarray(each)) for each in (97 * mask, 1 * mask, tokens, targets))


def fastest(work: Callable[[], object], times: int = 2) -> float:
    """Seconds, after one run that is not counted."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def report(side: str, name: str, mix: str, dtype: str) -> None:
    from rosella.model.flops import training_flops

    if side == "ours":
        memory.keep()  # as `rosella train` does
    seconds, rate, frames = {"ours": ours, "theirs": theirs}[side](name, mix, dtype)
    useful = training_flops(config_of(name), frames, frames // FRAMES_PER_BYTE).sum()
    print(json.dumps({"speed": frames.sum() / seconds, "share": useful / rate / seconds}))


if __name__ == "__main__":
    report(*sys.argv[1:]) if sys.argv[1:] else main()
