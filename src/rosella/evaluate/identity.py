"""Whose voice is it? By the embedded speaker encoder.

The encoder tells voices apart that sound different (`corpus.diarization`); cosines of one person lie above about 0.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from rosella.corpus.diarization.networks import SpeakerEncoder
from rosella.evaluate.intelligibility import Wave

WINDOW, HOP = 25_600, 12_800
"""Samples of an embedding (1.6 s, what the encoder was trained on), and between two."""
SHORTEST = 6_400
"""A clip of fewer samples (0.4 s) tells no voice."""


class Voices:
    """Compares 16 kHz clips [N]; its networks are loaded when they are first asked."""

    def similarity(self, one: Wave, other: Wave) -> float | None:
        """Cosine of the mean embeddings of two clips, 1 being the same voice; None where one tells none."""
        first, second = self.embedding(one), self.embedding(other)
        return None if first is None or second is None else float(first @ second)

    def embedding(self, wave: Wave) -> np.ndarray | None:
        """The mean float32 `[D]` of unit length; None for a clip that is too short or silent."""
        if len(wave) < SHORTEST or not np.any(wave):
            return None
        starts = range(0, max(1, len(wave) - WINDOW + HOP), HOP)
        windows = [wave[start : start + WINDOW] for start in starts]
        mean = self._encoder([window for window in windows if len(window) >= SHORTEST]).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def nearest(self, wave: Wave, voices: Mapping[str, np.ndarray]) -> str | None:
        """Whose of some embeddings the voice of a clip is nearest to; None for a clip that tells none."""
        heard = self.embedding(wave)
        return None if heard is None else max(voices, key=lambda name: float(voices[name] @ heard))

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        return SpeakerEncoder()
