"""What a recogniser is asked, and what it gives: the contract of `rosella.asr.recogniser`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal, Protocol, get_args

import numpy as np

Kind = Literal["verbatim", "clean"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Written:
    """Token ids a recogniser wrote, without prompt and end, and the sum of their log-probabilities, the end included.

    Not `ended` means that the positions ran out.
    """

    ids: tuple[int, ...]
    log_probability: float
    ended: bool


class Recogniser(Protocol):
    """What is needed of `rosella.asr.recogniser.Recogniser`; features and states are its own affair."""

    @property
    def batch_size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def window(self) -> float: ...
    @property
    def languages(self) -> Mapping[str, int]: ...
    def hears_like(self, other: Any) -> bool: ...
    def prompt(self, kind: Kind, language: str) -> list[int]: ...
    def features(self, waves: Sequence[np.ndarray]) -> Any: ...
    def encode(self, features: Any) -> Any: ...
    def listen(self, states: Any) -> tuple[list[str], list[float]]: ...
    def write(self, states: Any, prompts: Sequence[Sequence[int]]) -> list[Written]: ...
    def weigh(self, states: Any, prompt: Sequence[int], text: str) -> Written: ...
    def text(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class Clip:
    """A span of a recording (a file, or a URL), seconds; a language of None is found out.

    `speakers` were told apart in it by their voices; None where nobody did.
    """

    id: str
    audio: str | PathLike[str]
    start: float
    end: float
    language: str | None = None
    speakers: int | None = None


@dataclass(frozen=True)
class Transcript:
    """`log_probability` is that of a byte of the text; `compression` is text over compressed text, high where text repeats.

    Tokens are bytes to one recogniser and words to another: a mean over tokens would mean something else with each.
    """

    text: str
    log_probability: float
    compression: float


@dataclass(frozen=True)
class Transcription:
    """What a clip says. `no_speech` is the probability that it says nothing."""

    language: str
    no_speech: float
    transcripts: dict[Kind, Transcript]


@dataclass
class Transcribed:
    """Transcriptions and reasons for what has none, both by the clip's id."""

    transcriptions: dict[str, Transcription] = field(default_factory=dict)
    rejects: dict[str, str] = field(default_factory=dict)
