"""What is written down of a codec, wherever its codes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self


class CodecLike(Protocol):
    """What the codec that made some codes is known by."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def num_codebooks(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...


@dataclass(frozen=True)
class CodecFacts:
    """Sample rate in Hz, frame rate in frames/s."""

    fingerprint: str
    sample_rate: int
    frame_rate: float
    num_codebooks: int
    codebook_size: int

    @classmethod
    def of(cls, codec: CodecLike) -> Self:
        return cls(
            codec.fingerprint, codec.sample_rate, codec.frame_rate, codec.num_codebooks, codec.codebook_size
        )
