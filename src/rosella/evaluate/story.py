"""What a report tells: plain data, gathered by `rosella demo` or `rosella evaluate` and drawn by `report`."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import rosella
from rosella.evaluate.scores import Evaluation, Yardstick

Curve = tuple[Sequence[float], Sequence[float]]  # steps, values

REPORTED_PACKAGES = ("jax", "flax", "torch", "transformers", "numpy")


@dataclass(frozen=True)
class RecordingFacts:
    """One row of the corpus table."""

    name: str
    speakers: Sequence[str]
    language: str
    utterances: int
    seconds: float  # of the utterances
    rejects: Mapping[str, int]  # reason -> how many


@dataclass(frozen=True)
class CorpusFacts:
    recordings: Sequence[RecordingFacts]
    utterance_seconds: Sequence[float]


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
    after: Evaluation
    before: Evaluation | None = None
    corpus: CorpusFacts | None = None
    training: TrainingFacts | None = None
    steps: Sequence[StepFacts] = ()
    next_steps: Sequence[tuple[str, str]] = ()  # what for, command
    machine: Mapping[str, str] = field(default_factory=lambda: machine_facts())


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
