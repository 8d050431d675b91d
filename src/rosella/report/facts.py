"""What a report tells: plain data, gathered by `rosella demo` or `rosella evaluate` and drawn by `report.speech`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rosella
from rosella.asr.scores import Pair, score
from rosella.corpus.project import Corpus
from rosella.corpus.words import plain_words
from rosella.evaluate.speaking import ModelEvaluation, Yardstick
from rosella.records import content_id
from rosella.runs import read_metrics
from rosella.shards.read import Export

Curve = tuple[Sequence[float], Sequence[float]]
"""Steps and the values at them."""

REPORTED_PACKAGES = ("jax", "flax", "torch", "transformers", "numpy")


@dataclass(frozen=True)
class RecordingFacts:
    """One row of the corpus table."""

    name: str
    speakers: Sequence[str]
    language: str
    utterances: int
    seconds: float  # of the utterances


@dataclass(frozen=True)
class CorpusFacts:
    recordings: Sequence[RecordingFacts]
    utterance_seconds: Sequence[float]
    rejects: Mapping[str, int]  # reason -> how many parts of recordings were left out
    heard: Sequence[HeardFacts] = ()


@dataclass(frozen=True)
class HeardFacts:
    """A recording that came as audio alone: how many voices were heard, and the word errors of its transcript."""

    name: str
    voices: int
    wer: float


@dataclass(frozen=True)
class TrainingFacts:
    """Losses per codebook: name -> (steps, values)."""

    steps: int
    train: Mapping[str, Curve]
    validation: Mapping[str, Curve]


@dataclass(frozen=True)
class StepFacts:
    """One step of the work: what it did, the command that does the same, and how long it took."""

    title: str
    command: str
    seconds: float


@dataclass(frozen=True)
class Story:
    """All a report needs; parts that are None or empty are left out of the page."""

    yardstick: Yardstick
    after: ModelEvaluation
    before: ModelEvaluation | None = None
    corpus: CorpusFacts | None = None
    training: TrainingFacts | None = None
    steps: Sequence[StepFacts] = ()
    next_steps: Sequence[tuple[str, str]] = ()  # what for, command
    machine: Mapping[str, str] = field(default_factory=lambda: machine_facts())
    about: str = ""  # what it is about, in a sentence


def corpus_facts(directory: Path, said: Path | None = None) -> CorpusFacts:
    """The exported utterances of a corpus directory by recording, and what was rejected on the way; not what is mixed in.

    `said` is a manifest of what is said in recordings that came as audio alone.
    """
    utterances = (
        Export.open(directory).index(["recording", "start", "end", "speakers", "language"]).to_pylist()
    )
    grouped: dict[str, list[dict[str, Any]]] = {}
    for utterance in utterances:
        grouped.setdefault(utterance["recording"], []).append(utterance)
    with Corpus.open(directory) as corpus:
        found = {recording: corpus.catalogue.known(recording) for recording in grouped}
        names = {recording: Path(row.path).name for recording, row in found.items() if row}
        rejects = corpus.status().rejects
        heard = [] if said is None else list(_heard(corpus, said))
    rows = [_recording_facts(name, grouped[recording]) for recording, name in names.items()]
    seconds = [_seconds(utterance) for recording in names for utterance in grouped[recording]]
    return CorpusFacts(sorted(rows, key=lambda row: row.name), seconds, rejects, heard)


def _heard(corpus: Corpus, said: Path) -> Iterator[HeardFacts]:
    for line in said.read_text("utf-8").splitlines():
        wanted = json.loads(line)
        recording = content_id(said.parent / wanted["audio"])
        utterances = corpus.catalogue.utterances(recording)
        spoken = " ".join(word for turn in wanted["turns"] for word in plain_words(turn["text"]))
        written = " ".join(word for utterance in utterances for word in plain_words(utterance.text))
        voices = {name for utterance in utterances for name in utterance.speakers}
        wer = score([Pair(spoken, written, wanted["language"])]).words.rate or 0.0
        yield HeardFacts(Path(wanted["audio"]).name, len(voices), wer)


def training_facts(metrics: Path) -> TrainingFacts:
    """The losses in a run's `metrics.jsonl`."""
    records = read_metrics(metrics)
    return TrainingFacts(max(record["step"] for record in records), *codebook_curves(records))


def codebook_curves(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Codebook number -> losses, in training and in validation."""
    train, validation = (
        _curves([record for record in records if record["split"] == split])
        for split in ("train", "validation")
    )
    return train, validation


def machine_facts() -> dict[str, str]:
    """Where and with what the report was made; asks no accelerator, since that would start it."""
    facts = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "Python": platform.python_version(),
        "rosella": rosella.__version__,
    }
    commit = _commit()
    return (
        facts
        | ({"commit": commit} if commit else {})
        | {name: _installed(name) for name in REPORTED_PACKAGES}
    )


def _recording_facts(name: str, utterances: Sequence[Mapping[str, Any]]) -> RecordingFacts:
    speakers = sorted({speaker for utterance in utterances for speaker in utterance["speakers"]})
    languages = sorted({utterance["language"] or "" for utterance in utterances})
    seconds = sum(_seconds(utterance) for utterance in utterances)
    return RecordingFacts(name, speakers, ", ".join(languages), len(utterances), seconds)


def _seconds(utterance: Mapping[str, Any]) -> float:
    return utterance["end"] - utterance["start"]


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Codebook number -> curve; a loss that was not finite leaves a gap."""
    steps = [record["step"] for record in records]
    losses = [
        [float("nan") if loss is None else loss for loss in record["codebook_losses"]] for record in records
    ]
    return {str(number): (steps, curve) for number, curve in enumerate(zip(*losses, strict=True), 1)}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit of a checkout; empty for an installed package or without git."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
