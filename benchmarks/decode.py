"""Audio hours decoded and cut per hour of one core, beside an ffmpeg process per segment, which the reference runs.

Twenty minutes of stereo MP3, cut at turn ends into segments of 15 to 25 s, each brought to mono at 16 kHz; the other way
writes and reads a WAV for each. Time is that of the processor, children included. Prints one row of the table in
benchmarks/README.md.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from _machine import row

from rosella import audio
from rosella.corpus.segment import Cutting, cut, quietest
from rosella.records import Recording, Turn

SECONDS, RATE, TARGET = 1200, 44_100, 16_000


def recording(folder: Path) -> Recording:
    """Noise in bursts: as hard to decode as anything."""
    wave = np.random.default_rng(0).standard_normal((SECONDS * RATE, 2), dtype=np.float32) * 0.05
    path = folder / "talk.mp3"
    soundfile.write(path, wave, RATE, format="MP3")
    return Recording("r", str(path), float(SECONDS), RATE, 2)


def turns() -> list[Turn]:
    chance, now, made = random.Random(0), 0.0, []
    while now + 25 < SECONDS:
        end = now + chance.uniform(14.6, 24.6)
        made.append(Turn(round(now, 3), round(end, 3), "AB"[len(made) % 2], ""))
        now = end + 2.5
    return made


def ours(talk: Recording) -> float:
    utterances, _ = cut(talk, turns(), Cutting(), lambda low, high: quietest(talk.path, low, high))
    return sum(len(audio.decode(talk.path, TARGET, u.start, u.end)) for u in utterances) / TARGET


def by_processes(talk: Recording) -> float:
    seconds = 0.0
    for number, turn in enumerate(turns()):
        path = Path(talk.path).with_name(f"{number}.wav")
        command = ["ffmpeg", "-v", "error", "-y", "-ss", str(turn.start), "-t", str(turn.end - turn.start)]
        command += ["-i", talk.path, "-ac", "1", "-ar", str(TARGET), str(path)]
        subprocess.run(command, check=True)
        seconds += len(soundfile.read(path, dtype="float32")[0]) / TARGET
    return seconds


def hours_per_core_hour(way: Callable[[Recording], float], talk: Recording) -> float:
    before = os.times()
    seconds = way(talk)
    after = os.times()
    return seconds / sum(b - a for a, b in zip(before[:4], after[:4], strict=True))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        talk = recording(Path(folder))
        ours(talk)  # imports and page cache
        start = time.perf_counter()
        mine = hours_per_core_hour(ours, talk)
        result = f"{mine:.0f} h per core-hour ({time.perf_counter() - start:.1f} s for {SECONDS // 60} min)"
        if shutil.which("ffmpeg"):
            other = hours_per_core_hour(by_processes, talk)
            result += f"; an ffmpeg process per segment {other:.0f}: {mine / other:.1f} x"
        print(row("decode and cut, mp3 to 16 kHz", result))


if __name__ == "__main__":
    main()
