"""How good a codec is: intelligibility after a round trip (STOI) and how much of each codebook is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rosella.codec import Codec


@dataclass(frozen=True)
class Quality:
    stoi: list[float]
    """Short-time objective intelligibility of each clip through the codes (Taal et al. 2011), 1 being perfect."""
    codebook_use: list[float]
    """Share of the entries of each codebook that occur at least once in all clips."""
    seconds: float
    bits_per_second: float


def measure(codec: Codec, waveforms: Sequence[np.ndarray]) -> Quality:
    """Encode and decode mono waveforms at the codec's rate, each at least half a second of speech."""
    scores, used = [], np.zeros((codec.num_codebooks, codec.codebook_size), bool)
    for wave in waveforms:
        codes = codec.encode([wave])[0]
        decoded = codec.decode([codes])[0]
        scores.append(stoi(wave, decoded, codec.sample_rate))
        for codebook in range(codec.num_codebooks):
            used[codebook, codes[:, codebook]] = True
    seconds = sum(map(len, waveforms)) / codec.sample_rate
    bits = codec.frame_rate * codec.num_codebooks * np.log2(codec.codebook_size)
    return Quality(scores, used.mean(1).tolist(), seconds, float(bits))


def stoi(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al. 2011), through the package pystoi.

    It compares sample by sample, so it fits a codec's round trip and nothing that was generated anew. The two
    must start together; a tail of less than 0.1 s that one has more (padding to whole frames) is cut off.
    """
    from pystoi import stoi as pystoi_stoi

    if abs(len(reference) - len(degraded)) > 0.1 * sample_rate:
        raise ValueError(f"stoi needs aligned clips, got {len(reference)} and {len(degraded)} samples")
    common = min(len(reference), len(degraded))
    return float(pystoi_stoi(reference[:common], degraded[:common], sample_rate))
