"""Audio hours decoded and cut per hour of one core, beside an ffmpeg process per segment.

Twenty minutes of stereo MP3, cut at turn ends into segments of 15 to 25 s, each brought to mono at 16 kHz. Parkiet
(`utils/audio.py`, d85a55b) converts the recording to a WAV first and has an ffmpeg process walk there from its beginning
for every segment; kinder to that way, ffmpeg may also seek in the MP3 itself. Both write and read a WAV for each segment.
What decoding alone takes, without cutting, mono or resampling, is the floor. Time is that of the processor, children
included, the least of several turns. Prints one row of the table in benchmarks/README.md.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile
from _machine import row

from rosella import audio
from rosella.corpus.steps.segment import Cutting, cut, quietest
from rosella.records import Recording, Turn

SECONDS, RATE, TARGET, TIMES = 1200, 44_100, 16_000, 3
AS_WAV = ["-ac", "1", "-ar", str(TARGET), "-c:a", "pcm_s16le"]


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
    with audio.Reader(talk.path) as reader:
        return sum(len(reader.decode(TARGET, u.start, u.end)) for u in utterances) / TARGET


def decoding_alone(talk: Recording) -> float:
    with av.open(talk.path) as container:
        stream = container.streams.audio[0]
        stream.thread_type = "NONE"
        return sum(frame.samples for frame in container.decode(stream)) / RATE


def as_the_reference(talk: Recording) -> float:
    whole = str(Path(talk.path).with_name("whole.wav"))
    ffmpeg("-i", talk.path, *AS_WAV, whole)
    return sum(segment("-i", whole, *between(turn)) for turn in turns())


def by_seeking(talk: Recording) -> float:
    return sum(segment(*between(turn), "-i", talk.path) for turn in turns())


def between(turn: Turn) -> list[str]:
    return ["-ss", str(turn.start), "-t", str(turn.end - turn.start)]


def segment(*arguments: str) -> float:
    """Seconds of a segment that ffmpeg wrote and that was read back."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        ffmpeg(*arguments, *AS_WAV, file.name)
        return len(soundfile.read(file.name, dtype="float32")[0]) / TARGET


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


def hours_per_core_hour(ways: Sequence[Callable[[Recording], float]], talk: Recording) -> list[float]:
    """The best of `TIMES` turns of each way; they take turns, since other work on the machine comes and goes."""
    best = [0.0] * len(ways)
    for _ in range(TIMES):
        for number, way in enumerate(ways):
            before = os.times()
            seconds = way(talk)
            after = os.times()
            spent = sum(b - a for a, b in zip(before[:4], after[:4], strict=True))
            best[number] = max(best[number], seconds / spent)
    return best


def main() -> None:
    ways = [ours, decoding_alone, *([as_the_reference, by_seeking] if shutil.which("ffmpeg") else [])]
    with tempfile.TemporaryDirectory() as folder:
        talk = recording(Path(folder))
        ours(talk)  # imports and page cache
        mine, floor, *others = hours_per_core_hour(ways, talk)
    result = f"{mine:.0f} h per core-hour, {mine / floor:.0%} of the {floor:.0f} of decoding alone"
    for name, other in zip(("as Parkiet does", "seeking in the MP3"), others, strict=False):
        result += f"; an ffmpeg process per segment, {name}, {other:.0f}: {mine / other:.1f} x"
    print(row("decode and cut, mp3 to 16 kHz", result))


if __name__ == "__main__":
    main()
