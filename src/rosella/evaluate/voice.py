"""How close is a generated clip to the voice it should have? Two rough measures without any model.

They tell a high voice from a low one and a dark one from a bright one, not two similar people.
A speaker-embedding model does that better, and is not part of the embedded family.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave, log_mel

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
YIN_WINDOW = 640  # 40 ms, more than two periods of the lowest pitch
VOICED_BELOW = 0.15  # aperiodicity under which a frame counts as voiced
QUIET_DB = 35.0  # frames this far below the loudest are pauses


@dataclass(frozen=True)
class VoiceCloseness:
    pitch_semitones: float  # |median F0 difference|; nan when either clip has no voiced frame
    spectrum_db: float  # root mean square difference of the long-term average mel spectra, level removed


def closeness(generated: Wave, reference: Wave) -> VoiceCloseness:
    """Compare two 16 kHz mono clips [N]; 0 semitones and 0 dB is the same voice."""
    pitches = median_pitch(generated), median_pitch(reference)
    difference = average_spectrum(generated) - average_spectrum(reference)
    return VoiceCloseness(
        pitch_semitones=abs(12.0 * float(np.log2(pitches[0] / pitches[1]))),
        spectrum_db=float(np.sqrt(np.mean(difference**2))),
    )


def median_pitch(wave: Wave) -> float:
    """Median fundamental frequency in Hz of the voiced frames of a 16 kHz clip [N]; nan without any."""
    pitch, aperiodicity = yin(wave)
    voiced = pitch[aperiodicity < VOICED_BELOW]
    return float(np.median(voiced)) if len(voiced) else float("nan")


def yin(wave: Wave, hop: int = 160) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch in Hz and aperiodicity (0 = periodic) per frame, each [T] (de Cheveigné & Kawahara 2002)."""
    shortest, longest = int(SAMPLE_RATE / HIGHEST_HZ), int(SAMPLE_RATE / LOWEST_HZ)
    samples = np.asarray(wave, np.float64)
    samples = np.pad(samples, (0, max(0, YIN_WINDOW + longest - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, YIN_WINDOW + longest)[::hop]
    normalised = _normalised_difference(frames, longest)
    lags = _first_dip(normalised, shortest)
    return SAMPLE_RATE / lags, normalised[np.arange(len(lags)), lags]


def average_spectrum(wave: Wave) -> NDArray[np.float64]:
    """Long-term average mel spectrum [bands] in dB over the frames that are not pauses, mean subtracted."""
    spectrum = log_mel(wave)
    loudness = spectrum.max(axis=1)
    average = spectrum[loudness > loudness.max() - QUIET_DB].mean(axis=0)
    return average - average.mean()


def _normalised_difference(frames: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """YIN's cumulative mean normalised difference [T, longest + 1] of frames [T, YIN_WINDOW + longest]."""
    size = 2 ** int(np.ceil(np.log2(2 * YIN_WINDOW + longest)))
    head = np.fft.rfft(frames[:, :YIN_WINDOW], size)
    correlation = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, size), size)[:, : longest + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    shifted = energy[:, YIN_WINDOW : YIN_WINDOW + longest + 1] - energy[:, : longest + 1]
    difference = np.maximum(shifted[:, :1] + shifted - 2 * correlation, 0.0)
    running_mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, longest + 1)
    normalised = np.ones_like(difference)
    normalised[:, 1:] = difference[:, 1:] / (running_mean + 1e-9)
    silent = shifted[:, 0] < 1e-7 * YIN_WINDOW
    normalised[silent] = 1.0
    return normalised


def _first_dip(normalised: NDArray[np.float64], shortest: int) -> NDArray[np.int64]:
    """The first lag [T] under the voicing threshold, followed to its local minimum; else the best lag."""
    lags = np.empty(len(normalised), np.int64)
    for row, values in enumerate(normalised):
        below = np.flatnonzero(values[shortest:] < VOICED_BELOW)
        lag = shortest + (below[0] if len(below) else int(values[shortest:].argmin()))
        while lag + 1 < len(values) and values[lag + 1] < values[lag]:
            lag += 1
        lags[row] = lag
    return lags
