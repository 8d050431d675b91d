"""Codes that come a few at a time -> waveform, as soon as what comes later cannot change it."""

from __future__ import annotations

import numpy as np

from rosella.codec.interface import Codec


class StreamDecoder:
    """Decodes one stream of codes; its pieces, joined, are what the codec makes of all of them at once.

    A piece is decoded with `codec.context` frames on either side, so that it may differ by what those beyond would add:
    nothing with DAC, less than 1e-4 with the mel codec.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._recent = np.zeros((0, codec.num_codebooks), np.uint16)
        self._made = 0

    def push(self, codes: np.ndarray) -> np.ndarray:
        """The samples float32 [samples] that are settled with these frames [frames, codebooks]; often none."""
        self._recent = np.concatenate([self._recent, codes])
        return self._decode(len(self._recent) - self._codec.context)

    def finish(self) -> np.ndarray:
        """The samples that are left once no frame is to come."""
        return self._decode(len(self._recent))

    def _decode(self, until: int) -> np.ndarray:
        """Of the recent frames, those not yet made up to `until`; what lies too far behind them is forgotten."""
        if until <= self._made:
            return np.zeros(0, np.float32)
        hop, context = self._codec.hop, self._codec.context
        wave = self._codec.decode([self._recent[: until + context]])[0][self._made * hop : until * hop]
        forgotten = max(until - context, 0)
        self._recent, self._made = self._recent[forgotten:], until - forgotten
        return wave
