"""The two published networks of the embedded diarizer, in PyTorch: is there a voice, and whose?

Voice activity: Silero VAD 6.2 (16 kHz). Speaker embedding: the GE2E encoder of Resemblyzer 0.1.4 (Wan et al. 2018).
Both published their weights inside their packages; `weights.safetensors` holds them in half precision, gathered by
`tools/diarizer_weights.py`, under the licences in `LICENCES.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).with_name("weights.safetensors")
SAMPLE_RATE = 16_000
VOICE_HOP = 512
"""Samples of a voice activity frame, 32 ms."""

DIMENSIONS = 256
_CONTEXT = 64
_FFT, _MEL_HOP = 400, 160
_LEVEL = 10 ** (-30 / 20)
"""RMS that the speaker encoder was trained on; its mel spectrogram is linear, so level matters."""

_BATCH = 128


class VoiceActivity:
    """Probability of a voice in every 32 ms. Feed a recording block by block: the state is carried on."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._weights = load(WEIGHTS, "voice.", device)
        self._lstm = _lstm(self._weights, "lstm_cell.", 1, device)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Probabilities float32 `[frames]` of 16 kHz `[samples]`; a last incomplete frame is filled with zeros."""
        import torch

        wave = np.pad(wave, (0, -len(wave) % VOICE_HOP))
        padded = np.concatenate([self._context, wave])
        self._context = padded[-_CONTEXT:].copy()
        windows = np.lib.stride_tricks.sliding_window_view(padded, VOICE_HOP + _CONTEXT)[::VOICE_HOP]
        with torch.inference_mode():
            parts = [windows[at : at + _BATCH] for at in range(0, len(windows), _BATCH)]
            codes = torch.cat(
                [self._encoded(torch.from_numpy(part.copy()).to(self.device)) for part in parts]
            )
            hidden, self._state = self._lstm(codes[None], self._state)
            last = self._weights["final_conv.weight"][:, :, 0], self._weights["final_conv.bias"]
            logits = torch.nn.functional.linear(hidden[0].relu(), *last)
        return torch.sigmoid(logits)[:, 0].cpu().numpy()

    def _encoded(self, windows: torch.Tensor) -> torch.Tensor:
        """`[N, 576]` samples -> `[N, 128]`."""
        from torch.nn import functional

        weights = self._weights
        x = functional.pad(windows[:, None], (0, _CONTEXT), "reflect")
        real, imaginary = functional.conv1d(x, weights["stft_conv.weight"], stride=128).chunk(2, dim=1)
        x = (real**2 + imaginary**2).sqrt()
        for number, stride in enumerate((1, 2, 2, 1), 1):
            kernel, bias = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
            x = functional.conv1d(x, kernel, bias, stride=stride, padding=1).relu()
        return x[:, :, 0]


class SpeakerEncoder:
    """Waveforms -> unit vectors that are close for one speaker and apart for two."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._weights = load(WEIGHTS, "speaker.", device)
        self._lstm = _lstm(self._weights, "lstm.", 3, device)

    def __call__(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings float32 `[N, 256]`, unit length, of 16 kHz waveforms `[samples]` (0.4 to 3 s do well)."""
        order = np.argsort([len(wave) for wave in waves], kind="stable")
        found = np.empty((len(waves), DIMENSIONS), np.float32)
        for at in range(0, len(order), _BATCH):
            rows = order[at : at + _BATCH]
            found[rows] = self._embedded([waves[row] for row in rows])
        return found

    def _embedded(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        import torch

        padded = torch.zeros(len(waves), max(map(len, waves)))
        for row, wave in enumerate(waves):
            level = float(np.sqrt(np.mean(wave**2))) or 1.0
            padded[row, : len(wave)] = torch.from_numpy(wave * (_LEVEL / level))
        last = torch.tensor([len(wave) // _MEL_HOP for wave in waves], device=self.device)
        with torch.inference_mode():
            states, _ = self._lstm(self._mel(padded.to(self.device)))
            final = states[torch.arange(len(waves), device=self.device), last]
            raw = torch.nn.functional.linear(
                final, self._weights["linear.weight"], self._weights["linear.bias"]
            ).relu()
            return torch.nn.functional.normalize(raw).cpu().numpy()

    def _mel(self, waves: torch.Tensor) -> torch.Tensor:
        """Power in 40 mel bands `[N, frames, 40]`, 100 frames a second."""
        import torch

        window = torch.hann_window(_FFT, device=self.device)
        spectrum = torch.stft(
            waves, _FFT, _MEL_HOP, window=window, center=True, pad_mode="constant", return_complex=True
        )
        return spectrum.abs().square().transpose(1, 2) @ self._weights["mel_filters"]


def load(path: Path, prefix: str, device: str) -> dict[str, torch.Tensor]:
    """The tensors of a file whose names begin with `prefix`, without it, in single precision."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device=device) as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  (not a dict)
        return {name.removeprefix(prefix): file.get_tensor(name).float() for name in names}


def _lstm(weights: dict[str, torch.Tensor], prefix: str, layers: int, device: str) -> torch.nn.LSTM:
    import torch

    inputs = weights[f"{prefix}weight_ih" + ("_l0" if layers > 1 else "")].shape
    with torch.device(device):
        lstm = torch.nn.LSTM(inputs[1], inputs[0] // 4, layers, batch_first=True)
    state = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    lstm.load_state_dict({name if "_l" in name else f"{name}_l0": tensor for name, tensor in state.items()})
    return lstm.eval().requires_grad_(False)
