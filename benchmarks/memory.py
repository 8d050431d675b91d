"""Peak memory of one worker: for a file of ten hours, and for a catalogue of a million utterances.

A process of its own adds a recording with turns all over it and takes it through every stage with a codec that computes
nothing, so what counts is the pipeline's; models come on top (see the row of the diarizer). Prints one row of the table in
benchmarks/README.md.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import sqlalchemy as sa
from _machine import row
from ahead import Device
from catalogue import fill

from rosella.corpus.catalogue.tables import DONE, FAILED, StateRow
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.stage import TOKENIZE

RATE, MINUTES = 16_000, 10
CASES = {
    "ten minutes": (1, False),
    "ten hours": (60, False),
    "ten minutes beside a million utterances": (1, True),
}


def source(folder: Path, times: int) -> Path:
    """A manifest of one recording of `times` ten minutes, a turn of 18 s in every 20."""
    noise = 0.05 * np.random.default_rng(0).standard_normal(MINUTES * 60 * RATE, dtype=np.float32)
    with soundfile.SoundFile(folder / "talk.wav", "w", RATE, 1, format="RF64") as file:
        for _ in range(times):
            file.write(noise)
    turns = [
        {"start": start, "end": start + 18, "speaker": "anna", "text": "ja"}
        for start in range(0, times * MINUTES * 60, 20)
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text(json.dumps({"audio": "talk.wav", "turns": turns}), encoding="utf-8")
    return manifest


def worker(folder: Path) -> None:
    with Corpus.open(folder / "corpus") as corpus:
        assert corpus.add(folder / "manifest.jsonl").failed == []
        assert corpus.run(Models(Device(float("inf")))).failed == []
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def settle(corpus: Corpus) -> None:
    """Leave nothing due of the recordings there are, whose files nobody has."""
    with corpus.catalogue.session() as session:
        for stage in corpus.stages(Models(Device(float("inf")))):
            state = FAILED if stage.name == TOKENIZE else DONE
            of_stage = sa.update(StateRow).where(StateRow.stage == stage.name)
            session.execute(of_stage.values(state=state, version=stage.version))


def peak(times: int, crowded: bool) -> int:
    """Megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        source(Path(folder), times)
        with Corpus.open(Path(folder) / "corpus", create=True) as corpus:
            if crowded:
                fill(corpus.catalogue)
                settle(corpus)
        command = [sys.executable, __file__, folder]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    found = ", ".join(f"{name} {peak(*case)} MB" for name, case in CASES.items())
    print(row("peak memory of one worker", found))


if __name__ == "__main__":
    worker(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
