"""Synthetic speech from espeak-ng (GPL-3, through `espeakng-loader`): material for training and tests only.

Nothing in the `rosella` package imports this file.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import soxr

SYNCHRONOUS, UTF8 = 2, 1
NO_EVENT, WORD = 0, 1
RATE, PITCH, RANGE = 1, 3, 4
NOISE_LEVEL = np.float32(10 ** (-70 / 20))  # espeak's pauses are digital silence, which no microphone records


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice such as `nl+f3`, with its speaking rate (words per minute), pitch and pitch range (0-99)."""

    name: str
    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50


class _Event(ctypes.Structure):
    """What espeak-ng tells of the samples it gives; `text_position` counts characters from 1, `audio_position` ms."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


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
        self._words: list[tuple[int, float]] = []
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = prototype(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice: Voice | None = None

    def _collect(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while events and events[number].type != NO_EVENT:
            event, number = events[number], number + 1
            if event.type == WORD:
                self._words.append((event.text_position - 1, event.audio_position / 1000))
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
        return self.say_words(text, voice, sample_rate)[0]

    def say_words(
        self, text: str, voice: Voice, sample_rate: int = 16_000
    ) -> tuple[np.ndarray, list[tuple[int, float]]]:
        """The same, and for each word the character at which it stands in the text and when it begins, in seconds."""
        self._select(voice)
        self._chunks, self._words = [], []
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, 0, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        native = np.concatenate(self._chunks) if self._chunks else np.zeros(1, np.int16)
        wave = soxr.resample(native.astype(np.float32) / 32768, self.native_rate, sample_rate)
        first, last = _sounding(wave, sample_rate)
        return wave[first:last], [(at, start - first / sample_rate) for at, start in self._words]


def noise(samples: int, seed: int) -> np.ndarray:
    """Faint white noise, float32 `[samples]`."""
    return NOISE_LEVEL * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def _sounding(wave: np.ndarray, sample_rate: int, margin: float = 0.06) -> tuple[int, int]:
    """The first sample and the one behind the last of what is no silence, with a margin."""
    loud = np.flatnonzero(np.abs(wave) > 1e-3)
    if not len(loud):
        return 0, len(wave)
    pad = int(margin * sample_rate)
    return max(loud[0] - pad, 0), loud[-1] + pad
