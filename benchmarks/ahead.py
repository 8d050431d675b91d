"""How much of the time a device is at work while recordings are tokenised, if its processes decode ahead of it.

Forty recordings of three minutes of stereo MP3 pass through the local engine's last stage with a codec that only waits,
as long as a device of so many times real time would take: it computes nothing, so both cores are free to decode. Prints
one row of the table in benchmarks/README.md for each speed.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from _machine import row

from rosella.corpus.engines import local
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus

RECORDINGS, SECONDS, RATE, TURN = 40, 180, 44_100, 20.0
SPEEDS = (250, 500, 1000)


class Device:
    """Waits instead of encoding."""

    sample_rate, hop, frame_rate, num_codebooks, codebook_size = RATE, 512, RATE / 512, 9, 1024

    def __init__(self, speed: float) -> None:
        self.fingerprint = f"waits-{speed}"
        self.busy = 0.0
        self._speed = speed

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        seconds = sum(map(len, waveforms)) / RATE / self._speed
        time.sleep(seconds)
        self.busy += seconds
        return [np.zeros((-(-len(wave) // self.hop), self.num_codebooks), np.uint16) for wave in waveforms]


def source(folder: Path) -> Path:
    """One MP3 under many names, told apart by its last bytes."""
    noise = np.random.default_rng(0).standard_normal((SECONDS * RATE, 2), dtype=np.float32) * 0.05
    soundfile.write(folder / "talk.mp3", noise, RATE, format="MP3")
    turns = [
        {"start": start + 0.5, "end": start + TURN - 1.5, "speaker": "anna", "text": "ja"}
        for start in np.arange(0, SECONDS - TURN, TURN).tolist()
    ]
    lines = []
    for number in range(RECORDINGS):
        (folder / f"{number}.mp3").write_bytes((folder / "talk.mp3").read_bytes() + bytes([number]))
        lines.append(json.dumps({"audio": f"{number}.mp3", "turns": turns}))
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "manifest.jsonl"


def busy_share(corpus: Corpus, speed: float) -> float:
    """Of the time of the last stage; the ones before it are done."""
    device = Device(speed)
    *before, tokenizing = corpus.stages(Models(device))
    local.run(corpus.catalogue, before, lambda advance: None)
    start = time.perf_counter()
    assert not local.run(corpus.catalogue, [tokenizing], lambda advance: None).failed
    return device.busy / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Corpus.open(Path(folder) / "corpus", create=True) as corpus:
            corpus.add(source(Path(folder)))
            for speed in SPEEDS:
                share = busy_share(corpus, speed)
                print(row(f"tokenize, a device of {speed} x real time", f"at work {share:.0%} of the time"))


if __name__ == "__main__":
    main()
