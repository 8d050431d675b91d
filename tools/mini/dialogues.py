"""Dialogues of synthetic voices with the times of their turns: what the diarizer is tuned and judged on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from mini.espeak import Espeak, Voice, noise
from mini.sentences import grammar_sentence
from rosella import audio

SAMPLE_RATE = 16_000


def dialogue(
    espeak: Espeak, voices: Sequence[Voice], turns: int, seed: int, pause: tuple[float, float] = (0.1, 0.8)
) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """A waveform at 16 kHz and its (start, end, voice), in seconds; a negative `pause` makes voices overlap.

    A turn has one to three sentences, and nobody takes two turns in a row.
    """
    chance = random.Random(seed)
    pieces: list[tuple[int, np.ndarray, str]] = []
    end, before = SAMPLE_RATE // 2, -1
    for _ in range(turns):
        who = chance.choice([n for n in range(len(voices)) if n != before])
        language = voices[who].name.split("+")[0]
        said = " ".join(grammar_sentence(language, chance) for _ in range(chance.randint(1, 3)))
        wave = audio.normalise_loudness(espeak.say(said, voices[who]), SAMPLE_RATE)
        start = max(end + int(chance.uniform(*pause) * SAMPLE_RATE), 0)
        pieces.append((start, wave, str(who)))
        end, before = start + len(wave), who
    mixed = noise(end + SAMPLE_RATE // 2, seed)
    for start, wave, _ in pieces:
        mixed[start : start + len(wave)] += wave
    return mixed, [(s / SAMPLE_RATE, (s + len(w)) / SAMPLE_RATE, who) for s, w, who in pieces]
