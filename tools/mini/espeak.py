"""Synthetic speech from espeak-ng (GPL-3, through `espeakng-loader`): material for training and tests only.

Nothing in the `rosella` package imports this file.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import soxr

SYNCHRONOUS, UTF8 = 2, 1
RATE, PITCH, RANGE = 1, 3, 4
NOISE_LEVEL = np.float32(10 ** (-70 / 20))  # espeak's pauses are digital silence, which no microphone records


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice such as `nl+f3`, with its speaking rate (words per minute), pitch and pitch range (0-99)."""

    name: str
    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50


class Espeak:
    """One espeak-ng engine; the library allows one per process."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self.native_rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        if self.native_rate <= 0:
            raise RuntimeError("espeak-ng did not start; reinstall espeakng-loader.")
        self._chunks: list[np.ndarray] = []
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = prototype(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice: Voice | None = None

    def _collect(self, samples, count: int, _events) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def _select(self, voice: Voice) -> None:
        if voice == self._voice:
            return
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name!r}.")
        for parameter, value in ((RATE, voice.rate), (PITCH, voice.pitch), (RANGE, voice.pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._voice = voice

    def say(self, text: str, voice: Voice, sample_rate: int = 16_000) -> np.ndarray:
        """Speak `text` without speaker tags; float32 mono `[samples]` at `sample_rate`, silence around it trimmed."""
        self._select(voice)
        self._chunks = []
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, 0, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        native = np.concatenate(self._chunks) if self._chunks else np.zeros(1, np.int16)
        return _trim(
            soxr.resample(native.astype(np.float32) / 32768, self.native_rate, sample_rate), sample_rate
        )


def noise(samples: int, seed: int) -> np.ndarray:
    """Faint white noise, float32 `[samples]`."""
    return NOISE_LEVEL * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def _trim(wave: np.ndarray, sample_rate: int, margin: float = 0.06) -> np.ndarray:
    loud = np.flatnonzero(np.abs(wave) > 1e-3)
    if not len(loud):
        return wave
    pad = int(margin * sample_rate)
    return wave[max(loud[0] - pad, 0) : loud[-1] + pad]
