"""Where two speak at once: a small network over a spectrogram fine enough to show two pitches side by side.

Trained by `tools/overlap_detector.py` on mixtures of synthetic voices; `overlap.safetensors` holds its weights in half
precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rosella import audio
from rosella.corpus.diarization.networks import SAMPLE_RATE, load

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).with_name("overlap.safetensors")
HOP = 640
"""Samples of a frame, 40 ms."""

_FFT = 1024
_BINS = 256
"""Up to 4 kHz, 16 Hz apart: above it the harmonics of a voice are hardly told from noise."""

_FLOOR = 1e-4
"""Power added before the logarithm, about 45 dB below the mean of speech, so that faint noise looks like silence."""

DILATIONS = (1, 2, 4, 8, 16)
"""Of the layers over time; with those before them a frame sees 1.4 s to both sides."""


class OverlapDetector:
    """Probability of two voices at once in every 40 ms."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._weights = load(WEIGHTS, "", device)

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Probabilities float32 `[frames]` of 16 kHz `[samples]`; a last incomplete frame is filled with zeros."""
        import torch

        level = audio.normalise_loudness(np.pad(wave, (0, -len(wave) % HOP)), SAMPLE_RATE)
        with torch.inference_mode():
            waves = torch.from_numpy(level).to(self.device)[None]
            return torch.sigmoid(logits(self._weights, spectra(waves)))[0].cpu().numpy()


def spectra(waves: torch.Tensor) -> torch.Tensor:
    """Logarithm of power `[N, 256, frames]` of 16 kHz `[N, samples]` at the loudness of `normalise_loudness`."""
    import torch

    window = torch.hann_window(_FFT, device=waves.device)
    spectrum = torch.stft(
        waves, _FFT, HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    return (spectrum[:, :_BINS, :-1].abs().square() + _FLOOR).log10() / 2


def logits(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Spectra `[N, 256, frames]` -> log odds of two voices `[N, frames]`.

    Convolutions over frequency and time, the same at every pitch, then residual ones over time, ever wider.
    """
    from torch.nn import functional

    x = x[:, None]
    for number in (1, 2, 3):
        kernel, bias = weights[f"pitch{number}.weight"], weights[f"pitch{number}.bias"]
        x = functional.conv2d(x, kernel, bias, stride=(2, 1), padding=(2, 1)).relu()
    x = functional.conv1d(x.flatten(1, 2), weights["mix.weight"], weights["mix.bias"])
    for wide in DILATIONS:
        kernel, bias = weights[f"time{wide}.weight"], weights[f"time{wide}.bias"]
        x = x + functional.conv1d(x.relu(), kernel, bias, dilation=wide, padding=wide)
    return functional.conv1d(x.relu(), weights["last.weight"], weights["last.bias"])[:, 0]
