"""The contract of the pipeline: the stages that a recording passes, in order, and what each may give.

A stage only reads what is known of a recording and says what it found; engines take the recordings that are due for it,
store the result, and answer for retries, time limits and interruptions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from rosella.records import Recording, Reject, Turn, Utterance

SCAN, DIARIZE, SEGMENT, TRANSCRIBE, TOKENIZE = "scan", "diarize", "segment", "transcribe", "tokenize"
STAGES = (SCAN, DIARIZE, SEGMENT, TRANSCRIBE, TOKENIZE)
"""In order: a stage needs the one before it, and its new results make those after it stale."""

NONE = "none"
"""The version of a stage that was given nothing to work with."""


@dataclass(frozen=True)
class StageResult:
    """What a stage found in a recording; None where it does not make any. Embeddings are by speaker, float32 [D]."""

    utterances: list[Utterance] | None = None
    rejects: list[Reject] = field(default_factory=list)
    turns: list[Turn] | None = None
    embeddings: dict[str, np.ndarray] | None = None


class Stage(Protocol):
    """One step of the pipeline. `run` is idempotent: it may be killed and repeated at any point."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str:
        """Identifies what it does; another value makes its results stale."""
        ...

    def run(self, recording: Recording) -> StageResult:
        """A UserError says why the recording cannot pass."""
        ...


@runtime_checkable
class AheadStage(Stage, Protocol):
    """A stage that decodes the next recording while it runs one."""

    def expect(self, recording: Recording | None) -> None: ...


@dataclass(frozen=True)
class Kept:
    """What people have settled in a recording: spans (seconds) not to be cut again, what is said there, what is left out."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    utterances: list[Utterance] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class Known(Protocol):
    """What a stage may ask about a recording: the catalogue."""

    def turns(self, recording: str, origin: str | None = ...) -> list[Turn]:
        """In order of time; those that came with it, or, with None, also what a diarizer found."""
        ...

    def utterances(self, recording: str) -> list[Utterance]:
        """In order of time."""
        ...

    def kept(self, recording: str) -> Kept:
        """What people have corrected or judged."""
        ...
