"""A codec that counts, and voices in it."""

from __future__ import annotations

import numpy as np

from rosella.speak import Voice, make_voice

RATE = 200
LEAVE = {"licence": "CC-BY-4.0", "consent": "Anna agreed on 1 May to whatever she says herself"}


class Codec:
    """Every frame is four samples, counted up; the first code tells how loud a clip is."""

    sample_rate, frame_rate, hop, num_codebooks, codebook_size, fingerprint = RATE, 50.0, 4, 3, 16, "tiny"

    def encode(self, waveforms):
        return [
            np.stack([np.full(len(wave) // 4, round(wave.max() * 10)), *[np.arange(len(wave) // 4) % 16] * 2], 1)
            .astype(np.uint16)
            for wave in waveforms
        ]  # fmt: skip


def clip(seconds=3.0, text="hoi", level=0.5):
    return Voice(np.full(round(seconds * RATE), level, np.float32), RATE, text)


def saved(text="hoi", **changes):
    return make_voice(clip(text=text), Codec(), **{**LEAVE, **changes})
