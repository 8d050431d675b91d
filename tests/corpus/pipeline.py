"""The whole pipeline with models that are quick and exact, for processes that tests kill."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np

from corpus.fakes import FakeCodec, save_manifest, save_tone, turn
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn
from rosella.corpus.engines import queue
from rosella.corpus.engines.job import Terms
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.recogniser import Transcribed, Transcript, Transcription


class FakeDiarizer:
    """Says in a file which recordings it got; on command it hangs, or ends its process, at one of them."""

    version = "fake-diarizer"

    def embed(self, path, turns):
        return {turn.speaker: np.eye(4, dtype=np.float32)[2] for turn in turns}

    def diarize(self, path):
        if log := os.environ.get("DIARIZED"):
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{Path(path).name}\n")
        if Path(path).name == os.environ.get("POISON"):
            time.sleep(60) if "HANG" in os.environ else os.kill(os.getpid(), signal.SIGKILL)
        turns = [SpeakerTurn(0.5, 2.0, "A"), SpeakerTurn(2.5, 4.0, "B"), SpeakerTurn(8.0, 9.5, "A")]
        return Diarization(
            turns, [], {"A": np.eye(4, dtype=np.float32)[0], "B": np.eye(4, dtype=np.float32)[1]}
        )


class FakeTranscriber:
    version, window = "fake-transcriber", 30.0

    def read(self, clips):
        yield clips

    def write_down(self, batches):
        said = {}
        for clip in chain.from_iterable(batches):
            text = "[S1] eh hoi [S2] dag" if clip.start < 5 else "[S1] tot ziens"
            said[clip.id] = Transcription("nl", 0.1, {"verbatim": Transcript(text, -0.1, 1.0)})
        return Transcribed(said)


def source(folder: Path, recordings: int = 3) -> Path:
    """Recordings of 12 s; the second came as audio alone."""
    lines = []
    for i in range(recordings):
        save_tone(folder / f"r{i}.wav", 12.0, seed=i)
        turns = [turn(0.5, 2.5, "anna", f"eh hallo {i}"), turn(3.0, 5.0, "ben"), turn(9, 11, "anna", "dag")]
        lines.append({"audio": f"r{i}.wav", "language": "nl"} | ({} if i == 1 else {"turns": turns}))
    return save_manifest(folder / "manifest.jsonl", lines)


def everything(folder: Path, manifest: Path, environment: dict[str, str]) -> None:
    """Add, run and export, under the variables of an environment."""
    os.environ.update(environment)
    with Corpus.open(folder, create=True) as corpus:
        corpus.add(manifest)
        corpus.run(Models(FakeCodec(), diarizer=FakeDiarizer(), transcriber=FakeTranscriber()))  # type: ignore[arg-type]
        corpus.export()


def take_jobs(folder: Path, environment: dict[str, str], seconds: float = 60.0) -> None:
    """A worker of the queue, until nothing is left to do; patient for a shorter time than real ones."""
    os.environ.update(environment)
    queue.SWEEP_SECONDS = queue.LOOK_SECONDS = queue.GRACE_SECONDS = 0.3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    terms = Terms(lease=1.5, limit=seconds, limit_per_second=0.0)
    with Corpus.open(folder) as corpus:
        models = Models(FakeCodec(), diarizer=FakeDiarizer(), transcriber=FakeTranscriber())  # type: ignore[arg-type]
        stages = corpus.stages(models)
        try:
            queue.run(corpus.catalogue, stages, os.environ["ROSELLA_REDIS"], lambda *_: None, terms)
        except SystemExit:
            os._exit(0)  # as `rosella corpus work` does: a thread that hangs is not waited for
        if not corpus.catalogue.failed():
            corpus.export()


def result(folder: Path) -> dict[str, object]:
    """What an export is: hashes of its files, and all utterances; and that nothing is left in hands."""
    hashes: dict[str, object] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*folder.glob("shards/*.parquet"), folder / "export.json", folder / "weights.parquet"]
    }
    with Corpus.open(folder) as corpus:
        status = corpus.status()
        assert status.failed == []
        ids = sorted({r.id for r in corpus.catalogue.done("tokenize", "1:fake-codec")})
        hashes["utterances"] = [corpus.catalogue.utterances(id) for id in ids]
        hashes["turns"] = [corpus.catalogue.turns(id, None) for id in ids]
        hashes["stages"] = status.stages
    return hashes
