"""How good a codec is: intelligibility after a round trip (STOI) and how much of each codebook is in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def measure(
    codec: Codec, waveforms: Sequence[np.ndarray], report: Callable[[int], None] = lambda done: None
) -> Quality:
    """Encode and decode mono waveforms at the codec's rate, each at least half a second of speech."""
    from pystoi import stoi

    scores, used = [], np.zeros((codec.num_codebooks, codec.codebook_size), bool)
    for done, wave in enumerate(waveforms, 1):
        codes = codec.encode([wave])[0]
        decoded = codec.decode([codes])[0][: len(wave)]
        scores.append(float(stoi(wave, decoded, codec.sample_rate)))
        for codebook in range(codec.num_codebooks):
            used[codebook, codes[:, codebook]] = True
        report(done)
    seconds = sum(map(len, waveforms)) / codec.sample_rate
    bits = codec.frame_rate * codec.num_codebooks * np.log2(codec.codebook_size)
    return Quality(scores, used.mean(1).tolist(), seconds, float(bits))
