"""`rosella corpus run` with the embedded models on free cores, and beside two processes that never rest.

usage: python benchmarks/busy.py [RECORDINGS] [PROCESSES]   (27 recordings of about 45 s, one process with `--device cpu`)

Every run starts from an empty corpus in a process of its own, its models loaded anew. What two processes that never rest
leave of two cores is half of them, so about twice the time is what sharing costs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile
from _machine import row

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from mini.dialogues import SAMPLE_RATE, dialogue
from mini.espeak import Espeak, Voice

CAST = (Voice("en+Alex", 150, 45), Voice("en+belinda", 160, 50))
TURNS = 8
LIMIT = 600.0
"""Seconds after which a run is given up."""


def main() -> None:
    count, devices = (int(value) for value in [*sys.argv[1:], *("27", "1")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        recordings = Path(folder) / "recordings"
        recordings.mkdir()
        espeak = Espeak()
        for number in range(count):
            wave, _ = dialogue(espeak, CAST, TURNS, number)
            soundfile.write(recordings / f"{number}.flac", wave, SAMPLE_RATE)
        idle = timed(recordings, Path(folder) / "corpus", devices)
        with busy():
            beside = timed(recordings, Path(folder) / "corpus", devices)
    name = f"corpus run, {count} recordings, {devices} process{'es' if devices > 1 else ''}"
    print(
        row(
            name,
            f"{idle:.0f} s on free cores, {beside:.0f} s beside two busy processes: {beside / idle:.2f} x",
        )
    )


def timed(recordings: Path, corpus: Path, devices: int) -> float:
    """Seconds that `corpus run` takes."""
    rosella = [sys.executable, "-m", "rosella", "corpus"]
    shutil.rmtree(corpus, ignore_errors=True)
    subprocess.run(
        [*rosella, "add", recordings, "--corpus", corpus, "--language", "en"], check=True, capture_output=True
    )
    run = [*rosella, "run", "--corpus", corpus, "--recogniser", "mini", *["--device", "cpu"] * devices]
    begun = time.perf_counter()
    try:
        subprocess.run(run, check=True, timeout=LIMIT, capture_output=True)
    except subprocess.TimeoutExpired:
        return float("inf")
    return time.perf_counter() - begun


@contextmanager
def busy() -> Iterator[None]:
    """As many processes that never rest as there are cores."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
