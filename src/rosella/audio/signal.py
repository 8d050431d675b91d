"""Mono float32 waveforms `[samples]`: their rate (soxr) and their loudness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

LOUDNESS_DBFS = -20.0
"""Level of active speech (RMS, dB relative to full scale) that codecs are given; see `normalise_loudness`."""

PEAK = 0.99
"""Largest absolute sample after loudness normalisation; louder peaks lower the gain instead of clipping."""

_BLOCK = 0.05  # seconds


def at_rate(pieces: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """What `resample` makes of a waveform, sample for sample, out of pieces that caches hold."""
    if from_rate == to_rate:
        yield from pieces
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
    for piece in pieces:
        yield stream.resample_chunk(piece)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample mono float32 `[samples]` with soxr (HQ)."""
    if from_rate == to_rate:
        return waveform
    import soxr

    return soxr.resample(waveform, from_rate, to_rate).astype(np.float32, copy=False)


def speech_level(waveform: np.ndarray, sample_rate: int) -> float:
    """RMS in dBFS of the active parts; -inf for silence."""
    power, active = _blocks(waveform, sample_rate)
    return 10 * math.log10(power[active].mean()) if active.any() else -math.inf


def speech_span(waveform: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """When the first active part begins and the last one ends, in seconds; (0, 0) for silence."""
    active = np.flatnonzero(_blocks(waveform, sample_rate)[1])
    if not len(active):
        return 0.0, 0.0
    return float(active[0] * _BLOCK), min(float((active[-1] + 1) * _BLOCK), len(waveform) / sample_rate)


def _blocks(waveform: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The power of blocks of `_BLOCK` seconds, and which of them are active: within 30 dB of the loudest."""
    block = max(1, round(sample_rate * _BLOCK))
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % block))
    power = np.mean(padded.reshape(-1, block) ** 2, axis=1)
    return power, power > power.max(initial=0.0) * 1e-3


def normalise_loudness(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Scale speech to `LOUDNESS_DBFS`, less where a peak would exceed `PEAK`. Silence stays as it is."""
    level = speech_level(waveform, sample_rate)
    if level == -math.inf:
        return waveform
    gain = min(10 ** ((LOUDNESS_DBFS - level) / 20), PEAK / float(np.abs(waveform).max()))
    return (waveform * gain).astype(np.float32)
