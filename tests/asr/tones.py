"""Speech of a language whose words are tones, which the smallest recogniser learns in seconds."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from rosella import audio
from rosella.asr.batches import Item, read_items
from rosella.asr.examples import Example, Split, read_examples, write_examples
from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser

RATE = 16_000
WORDS = {"la": 400.0, "bo": 1200.0, "uh": 2600.0}
WORD, GAP = 0.25, 0.05


def say(words: list[str]) -> np.ndarray:
    pieces = []
    for word in words:
        time = np.arange(int(WORD * RATE)) / RATE
        pieces += [0.3 * np.sin(2 * np.pi * WORDS[word] * time), np.zeros(int(GAP * RATE))]
    return np.concatenate(pieces).astype(np.float32)


def write_corpus(folder: Path, count: int = 24, longest: int = 3, language: str | None = "en") -> Path:
    """An examples directory with one recording; every sixth example is for validation and every sixth for test."""
    chance, folder = random.Random(0), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    waves, examples, now = [], [], 0.0
    for number in range(count):
        said = [chance.choice(list(WORDS)) for _ in range(chance.randint(1, longest))]
        waves.append(say(said))
        end = now + len(waves[-1]) / RATE
        split: Split = {4: "validation", 5: "test"}.get(number % 6, "train")  # type: ignore[assignment]
        clean = " ".join(word for word in said if word != "uh")
        examples.append(
            Example(
                f"e{number:03d}",
                folder / "tones.wav",
                round(now, 3),
                round(end, 3),
                f"[S1] {' '.join(said)}",
                f"[S1] {clean}" if clean else None,
                ("someone",),
                language,
                split,
            )
        )
        now = end
    audio.write(folder / "tones.wav", np.concatenate(waves), RATE)
    write_examples(folder, examples, {})
    return folder


def items_of(recipe: AsrRecipe, recogniser: Recogniser) -> list[Item]:
    """What a recipe trains on."""
    return read_items(read_examples(recipe.examples[0], "train"), recogniser, recipe)[0]
