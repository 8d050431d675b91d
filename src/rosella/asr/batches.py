"""Batches of a recogniser's training. That of step n depends on the seed and n alone, so that a resume is exact.

Rows: B examples, R transcripts (one or two of each example), L tokens.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rosella import audio
from rosella.asr.examples import Example
from rosella.asr.noise import noise
from rosella.asr.recipe import AsrRecipe, SpecAugmentRecipe
from rosella.asr.recogniser import Recogniser
from rosella.errors import UserError

IGNORED = -100
"""Target of positions that are not learnt, as PyTorch's cross-entropy has it."""

POOL = 16
"""Batches' worth of examples that are sorted by length together, so that a batch holds alike ones."""

WHOLE = 0.1
"""Share of batches that keep the whole window where windows are cut, so that it is not forgotten."""

_LOUDEST_NOISE = -30.0
_FAINTEST_NOISE = -90.0


@dataclass(frozen=True)
class Item:
    """An example and the token ids of its transcripts with their prompts, `inputs` and shifted `targets`."""

    example: Example
    rows: tuple[tuple[list[int], list[int]], ...]


@dataclass(frozen=True)
class Batch:
    """Features float32 [B, M, F]; `source` [R] says which example a transcript belongs to; ids [R, L].

    `said` [B, L] is the first transcript of each example alone, without prompt and end, padded with `IGNORED`.
    """

    features: Tensor
    source: Tensor
    inputs: Tensor
    targets: Tensor
    said: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(part.to(device) for part in vars(self).values()))


def read_items(
    examples: Sequence[Example], recogniser: Recogniser, recipe: AsrRecipe
) -> tuple[list[Item], Counter[str]]:
    """The examples that can be learnt from, and how many cannot, by reason."""
    items, rejects = [], Counter[str]()
    for example in examples:
        try:
            items.append(_item(example, recogniser, recipe))
        except _Reject as reason:
            rejects[str(reason)] += 1
    return items, rejects


class _Reject(Exception):
    pass


def _item(example: Example, recogniser: Recogniser, recipe: AsrRecipe) -> Item:
    if example.seconds > recogniser.window + 0.01:
        raise _Reject(f"longer than the window of {recogniser.window:.0f} s")
    language = example.language or recipe.language
    if language is None:
        raise UserError("Some examples name no language: set `language` in the recipe.")
    texts = {"verbatim": example.text, "clean": example.text_clean}
    rows = []
    for kind in recipe.transcripts:
        if (text := texts[kind]) is not None:
            rows.append(_row(recogniser.prompt(kind, language), recogniser.text_ids(text), recogniser.end))
    if not rows:
        raise _Reject(f"no {recipe.transcripts[0]} transcript")
    longest = max(len(inputs) for inputs, _ in rows)
    if longest > recogniser.model.config.max_target_positions:
        raise _Reject(f"more than {recogniser.model.config.max_target_positions} tokens of text")
    return Item(example, tuple(rows))


def _row(prompt: list[int], text: list[int], end: int) -> tuple[list[int], list[int]]:
    """Inputs and targets; the language is learnt, which transcript and which notation is asked is not."""
    targets = [prompt[1], *[IGNORED] * (len(prompt) - 2), *text, end]
    return [*prompt, *text], targets


def _said(targets: list[int]) -> list[int]:
    """The text of a row: what follows the prompt, whose end is ignored, without the end."""
    return targets[len(targets) - targets[::-1].index(IGNORED) : -1]


def _silent_row(inputs: list[int], targets: list[int], recogniser: Recogniser) -> tuple[list[int], list[int]]:
    """The same prompt with nothing said: `no speech` after the start, then the end."""
    said = len(recogniser.prompt(recogniser.kinds[0], next(iter(recogniser.languages))))
    return inputs[:said], [recogniser.no_speech, *targets[1 : said - 1], recogniser.end]


class Batches:
    """The micro-batches of each step for one of `devices`."""

    def __init__(
        self,
        items: Sequence[Item],
        recogniser: Recogniser,
        recipe: AsrRecipe,
        device: int = 0,
        devices: int = 1,
    ) -> None:
        self.items, self.recipe, self.recogniser = items, recipe, recogniser
        self.device, self.devices = device, devices
        self._epoch = lru_cache(2)(self._plan)

    def at(self, step: int) -> list[Batch]:
        chance = random.Random(f"{self.recipe.seed} {step}")
        whole = chance.random() < WHOLE
        places = list(enumerate(self.chosen(step)))[self.device :: self.devices]
        size = self.recipe.micro_batch or len(places)
        return [
            assemble(
                [
                    (self.items[index], f"{self.recipe.seed} {step} {place}")
                    for place, index in places[start : start + size]
                ],
                self.recogniser,
                self.recipe,
                whole,
            )
            for start in range(0, len(places), size)
        ]

    def chosen(self, step: int) -> list[int]:
        """Indices of the items of a step's whole batch."""
        per_epoch = max(1, len(self.items) // self.recipe.batch_size)
        return self._epoch(step // per_epoch)[step % per_epoch]

    def _plan(self, epoch: int) -> list[list[int]]:
        """Every item once, in full batches of alike lengths; what is left over is left out, another part each time."""
        chance = random.Random(f"{self.recipe.seed} epoch {epoch}")
        order = chance.sample(range(len(self.items)), len(self.items))
        size, batches = self.recipe.batch_size, []
        order = (order * math.ceil(size / len(order)))[: max(1, len(order) // size) * size]
        rising = self.recipe.short_first and epoch == 0
        pool = len(order) if rising else size * POOL
        for start in range(0, len(order), pool):
            alike = sorted(order[start : start + pool], key=lambda index: self.items[index].example.seconds)
            batches += [alike[first : first + size] for first in range(0, len(alike), size)]
        return batches if rising else chance.sample(batches, len(batches))


def stream(batches: Batches, first: int, workers: int) -> Iterator[list[Batch]]:
    """The micro-batches of step `first` and of those after it, made ahead by `workers` threads."""
    if not workers:
        yield from (batches.at(step) for step in range(first, batches.recipe.steps))
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[list[Batch]]] = deque()
        for step in range(first, batches.recipe.steps):
            ahead.append(pool.submit(batches.at, step))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def assemble(
    chosen: Sequence[tuple[Item, str]], recogniser: Recogniser, recipe: AsrRecipe, whole: bool = False
) -> Batch:
    """A batch of items, each with the seed of its own augmentation."""
    waves, rows, source, said = [], [], [], []
    silent = [random.Random(f"{seed} silence").random() < recipe.silence for _, seed in chosen]
    for number, ((item, seed), nothing) in enumerate(zip(chosen, silent, strict=True)):
        waves.append(_noise(item.example, seed) if nothing else wave_of(item.example, recogniser.sample_rate))
        learnt = [_silent_row(*row, recogniser) if nothing else row for row in item.rows]
        said.append([] if nothing else _said(learnt[0][1]))
        rows += learnt
        source += [number] * len(learnt)
    features = recogniser.features(waves, recogniser.window_frames if whole else None)
    if recipe.spec_augment is not None:
        for number, (_, seed) in enumerate(chosen):
            frames = len(waves[number]) // recogniser.extractor.hop_length
            spec_augment(features[number, :, :frames], recipe.spec_augment, f"{seed} masks")
    inputs, targets = (
        _padded([row[side] for row in rows], fill) for side, fill in ((0, recogniser.end), (1, IGNORED))
    )
    return Batch(features, torch.tensor(source), inputs, targets, _padded(said, IGNORED))


def plain_recipe(recipe: AsrRecipe) -> AsrRecipe:
    """The same without augmentation, for validation."""
    return recipe.model_copy(update={"spec_augment": None, "silence": 0.0})


def wave_of(example: Example, sample_rate: int) -> np.ndarray:
    return audio.decode(example.audio, sample_rate, example.start, example.end)


def spec_augment(features: Tensor, recipe: SpecAugmentRecipe, seed: str) -> None:
    """Mask bands of mel and spans of time in log-mel features [M, F], in place, with their mean."""
    chance, (mels, frames), mean = random.Random(seed), features.shape, features.mean()
    for _ in range(recipe.mel_masks):
        width = chance.randint(0, min(recipe.mel_width, mels))
        start = chance.randint(0, mels - width)
        features[start : start + width] = mean
    for _ in range(recipe.time_masks):
        width = chance.randint(0, int(recipe.time_width * frames))
        start = chance.randint(0, frames - width)
        features[:, start : start + width] = mean


def _noise(example: Example, seed: str) -> np.ndarray:
    """White noise at some level, or now and then nothing at all, as long as the example."""
    chance = np.random.default_rng(list(f"{seed} noise".encode()))
    level = chance.uniform(_FAINTEST_NOISE, _LOUDEST_NOISE) if chance.random() > 0.1 else None
    return noise(example.seconds, level, chance)


def _padded(rows: Sequence[list[int]], fill: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])
