"""The embedded diarizer on synthetic dialogues of voices that nothing was tuned on: error rate, speed, memory.

usage: python benchmarks/diarize.py [PIPELINE]   (a pyannote pipeline by name or folder, instead of the embedded one)

The error rate counts missed, invented and confused speech, overlaps included, 0.25 s around the borders of turns
forgiven; in brackets without that. Two turns overlap with the pauses in them. Memory is the growth of the process from
five minutes of audio to an hour.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from _machine import row

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from diarization_error import error_rate
from mini.dialogues import SAMPLE_RATE, dialogue
from mini.espeak import Espeak, Voice
from rosella.corpus.diarization.load import load_diarizer
from rosella.corpus.diarization.turns import Diarizer

LOW_AND_HIGH = [
    "nl m7 f5",
    "en Alex belinda",
    "nl boris steph2",
    "en Reed f5",
    "nl klatt3 belinda",
    "en m7 steph2",
]
PAUSE, OVERLAP = (0.1, 0.8), (-1.2, 0.3)
SIX, TWO = 6, 2
"""Turns of each voice: about a minute of two voices, or a third of that."""

SETS: list[tuple[str, list[str], tuple[float, float], float, int]] = [
    ("one low and one high voice", LOW_AND_HIGH, PAUSE, 0.0, SIX),
    ("the same, four turns in all", LOW_AND_HIGH, PAUSE, 0.0, TWO),
    ("the same, changing within 0.2 s", LOW_AND_HIGH, (0.0, 0.2), 0.0, SIX),
    ("the same under noise at 10 dB", LOW_AND_HIGH, PAUSE, 0.03, SIX),
    ("the same, often both at once", LOW_AND_HIGH, OVERLAP, 0.0, SIX),
    ("two low voices", ["nl m7 Reed", "en Alex boris", "en Reed klatt3", "nl boris m7"], PAUSE, 0.0, SIX),
    ("two high voices", ["nl f5 belinda", "en belinda steph2", "nl f5 steph2"], PAUSE, 0.0, SIX),
    ("three voices", ["nl m7 f5 belinda", "en Reed Alex steph2", "nl boris f5 steph2"], PAUSE, 0.0, SIX),
    (
        "four voices",
        ["nl m7 Reed f5 belinda", "en Alex boris steph2 f5", "nl klatt3 Reed belinda steph2"],
        PAUSE,
        0.0,
        SIX,
    ),
]


def main() -> None:
    diarizer = load_diarizer(*sys.argv[1:2])
    espeak = Espeak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.flac"
        spent = audio = 0.0
        for name, casts, pause, noise, turns in SETS:
            scores = []
            for seed, cast in enumerate(casts):
                wave, truth = spoken(espeak, cast, seed, pause, noise, turns)
                soundfile.write(path, wave, SAMPLE_RATE)
                begun = time.perf_counter()
                found = diarizer.diarize(path)
                spent, audio = spent + time.perf_counter() - begun, audio + len(wave) / SAMPLE_RATE
                right = len(found.embeddings) == len(cast.split()) - 1
                rates = [error_rate(truth, found.turns, collar).total for collar in (0.25, 0.0)]
                scores.append((*rates, right, *marked(truth, found.overlaps)))
            print(row(f"diarize, {name}", summary(scores)))
        print(
            row(
                "diarize, real-time factor",
                f"{spent / audio:.3f} on {audio / 60:.0f} min, one thread beside the one that decodes",
            )
        )
        print(row("diarize, memory", memory(diarizer, espeak, path)))


def spoken(espeak: Espeak, cast: str, seed: int, pause: tuple[float, float], noise: float, turns: int):
    language, *names = cast.split()
    voices = [Voice(f"{language}+{name}", 150 + 10 * n, 45 + 5 * n) for n, name in enumerate(names)]
    wave, truth = dialogue(espeak, voices, turns * len(voices), seed, pause)
    return wave + noise * np.random.default_rng(seed).standard_normal(len(wave), dtype=np.float32), truth


def marked(truth, overlaps) -> tuple[float, float, float]:
    """Seconds of overlap there are, were marked, and were marked rightly, on a grid of 10 ms."""
    grid = np.zeros((2, round(100 * max(end for _, end, _ in truth)) + 200), int)
    for start, end, _ in truth:
        grid[0, round(start * 100) : round(end * 100)] += 1
    for start, end in overlaps:
        grid[1, round(start * 100) : round(end * 100)] = 1
    there = grid[0] > 1
    return there.sum() / 100, grid[1].sum() / 100, (there & (grid[1] > 0)).sum() / 100


def summary(scores: list[tuple]) -> str:
    table = np.array(scores, float)
    worst = table[:, 0].max()
    rate, bare = table[:, :2].mean(axis=0)
    there, found, both = table[:, 3:].sum(axis=0)
    text = f"{rate:.1%} ({bare:.1%}), worst {worst:.1%}; speakers counted right in {table[:, 2].sum():.0f} of {len(table)}"
    text += f"; {both:.1f} of {there:.1f} s of overlap marked, {found - both:.1f} s elsewhere"
    return text + (f" (precision {both / found:.0%})" if there and found else "")


def memory(diarizer: Diarizer, espeak: Espeak, path: Path) -> str:
    wave, _ = spoken(espeak, LOW_AND_HIGH[0], 0, PAUSE, 0.0, SIX)
    peaks = []
    for minutes in (5, 60):
        with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
            for _ in range(round(minutes * 60 * SAMPLE_RATE / len(wave))):
                file.write(wave)
        diarizer.diarize(path)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return f"peak {peaks[0]:.0f} MiB after 5 min, {peaks[1]:.0f} MiB after an hour"


if __name__ == "__main__":
    main()
