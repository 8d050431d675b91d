"""Whether words and turns are said when `recital.words` and `cues` say so.

usage: python benchmarks/times.py [--model mini] [--count 60]

espeak-ng (tools/mini) speaks dialogues of one to three turns by two voices, and tells when each word begins. The model
reads them along, as it does what it said itself. Prints the share of words, and of beginnings and ends of turns, that lie
within 100 and 200 ms, and the same for what was done before: by their share of the text.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import numpy as np
from _machine import row

from mini.espeak import Espeak, Voice, noise
from mini.sentences import grammar_sentence
from rosella import audio, dialogue
from rosella.inference.alignment import Followed
from rosella.speak import Speaker, load
from rosella.speak.script import read_script, split
from rosella.speak.timing import Heard, powers

LANGUAGES, VARIANTS = ("en", "nl"), ("f2", "m3", "f4", "m1", "m7", "f1")
MARGIN = 0.06  # seconds of silence that espeak-ng's turns have around them


class Spoken(NamedTuple):
    """A dialogue at 16 kHz, when its words begin (turn, number, s), and its turns from the first to the last sound (s)."""

    text: str
    wave: np.ndarray
    words: list[tuple[int, int, float]]
    turns: list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    speaker, espeak, chance = load(options.model), Espeak(), random.Random(3)
    dialogues = [spoken(espeak, chance) for _ in range(options.count)]
    for name, read in (("read along", True), ("by share of the text", False)):
        errors = [measured(speaker, each, read) for each in dialogues]
        for what, found in zip(
            ("words", "turns, first sound", "turns, last sound"), zip(*errors, strict=True), strict=True
        ):
            print(row(f"times of {what}, {options.model}, {name}", shown(np.abs(np.concatenate(found)))))


def spoken(espeak: Espeak, chance: random.Random) -> Spoken:
    """One to three turns of two voices, with pauses of 0.1 to 0.6 s."""
    language, size = chance.choice(LANGUAGES), chance.randint(1, 3)
    voices = [Voice(f"{language}+{variant}") for variant in chance.sample(VARIANTS, 2)]
    texts, waves, words, turns = [], [noise(1600, 0)], [], []
    for turn in range(size):
        said = grammar_sentence(language, chance)
        wave, starts = espeak.say_words(said, voices[turn % 2])
        begun = sum(map(len, waves)) / 16_000
        texts.append(f"[S{turn % 2 + 1}] {said}")
        words += [(turn, len(said[:at].split()), begun + start) for at, start in starts]
        turns.append((begun + MARGIN, begun + len(wave) / 16_000 - MARGIN))
        waves += [wave, noise(round(chance.uniform(0.1, 0.6) * 16_000), turn)]
    wave = audio.normalise_loudness(np.concatenate(waves), 16_000)
    return Spoken(" ".join(texts), wave, words, turns)


def measured(speaker: Speaker, each: Spoken, read: bool) -> tuple[list[float], list[float], list[float]]:
    """Errors in seconds of the beginnings of words, and of the beginnings and ends of turns."""
    (codes,), (piece,) = speaker.codec.encode([each.wave]), split(read_script(each.text), 10_000)
    (wave,) = speaker.codec.decode([codes])
    followed = Followed(np.zeros(len(codes), np.int32), np.zeros(len(codes), np.float32))
    if read:
        followed = speaker.follow(dialogue.encode(piece.text), codes)
    heard = Heard(piece, 0.0, codes, powers(wave, speaker.codec.hop))
    said = heard.words(followed, speaker.codec.frame_rate)
    words = [said[turn][number].start_s - start for turn, number, start in each.words]
    turns = list(zip(said, each.turns, strict=True))
    return (
        words,
        [t[0].start_s - start for t, (start, _) in turns],
        [t[-1].end_s - end for t, (_, end) in turns],
    )


def shown(errors: np.ndarray) -> str:
    shares = ", ".join(f"{np.mean(errors < limit):.1%} within {1000 * limit:.0f} ms" for limit in (0.1, 0.2))
    return f"{shares}, median {1000 * np.median(errors):.0f} ms ({len(errors)})"


if __name__ == "__main__":
    main()
