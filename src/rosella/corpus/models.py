"""What a run works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from rosella.corpus.diarization.turns import Diarizer
from rosella.corpus.steps.segment import Cutting
from rosella.corpus.steps.tokenize import Encoder
from rosella.corpus.steps.transcribe import Transcriber


@dataclass(frozen=True)
class Models:
    """The models of all stages, and how turns are cut.

    Recordings that came without turns need a diarizer and a transcriber; without these they fail, saying so.
    """

    codec: Encoder
    cutting: Cutting = field(default_factory=Cutting)
    diarizer: Diarizer | None = None
    transcriber: Transcriber | None = None
