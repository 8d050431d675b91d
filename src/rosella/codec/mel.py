"""The mel codec: residual k-means over log-mel frames, and a vocoder that speaks from the quantised frames.

The vocoder follows Vocos (Siuzdak 2023, arXiv 2306.00814): ConvNeXt blocks at frame rate and an inverse-STFT head.
Shapes: waveforms `[B, samples]`, frames `[B, frames, mels]`, codes `[B, frames, codebooks]`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rosella.codec.interface import MEL, in_equal_lengths, padded_to_hop
from rosella.errors import UserError

FLOOR = 0.2
"""Magnitude at which log-mel levels off: 20 dB below average speech at -20 dBFS. Lower floors spend the codebooks on
what is too faint to matter: 0.02 costs 0.02 of STOI (docs/mini.md)."""

BEAM = 16
"""Partial codes kept while quantising."""

ROUNDS, TRUST = 2, 0.7
"""How often, and by what share of the difference, the vocoder's bands are scaled to those that the codes say."""

SETTLED = 20
"""Frames on either side of one that decide its samples: of the 37 that its convolutions and spectra reach, those beyond
change a sample of the embedded codec by less than 1e-5 (docs/log.md)."""


@dataclass(frozen=True)
class MelCodecConfig:
    sample_rate: int = 16_000
    hop: int = 320
    window: int = 1_024
    mels: int = 80
    num_codebooks: int = 8
    codebook_size: int = 256
    width: int = 256
    blocks: int = 8
    expansion: int = 3
    n_fft: int = 1_280

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MelCodecConfig:
        return cls(**{key: value for key, value in values.items() if key in cls.__dataclass_fields__})


def mel_filterbank(config: MelCodecConfig) -> Tensor:
    """Triangular filters on the HTK mel scale, each summing to one: `[window // 2 + 1, mels]`."""
    top = 2595 * np.log10(1 + config.sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, config.mels + 2) / 2595) - 1)
    bins = np.linspace(0, config.sample_rate / 2, config.window // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    # A narrow low filter can miss every bin; it then takes the nearest one.
    empty = filters.sum(0) == 0
    filters[np.abs(bins - edges[1:-1]).argmin(0)[empty], np.flatnonzero(empty)] = 1
    return torch.tensor(filters / filters.sum(0), dtype=torch.float32)


class LogMel(nn.Module):
    """Waveforms `[B, samples]` -> log-mel frames `[B, samples / hop, mels]`, frame i centred on (i + 1/2) hop."""

    hann: Tensor
    filters: Tensor
    spread: Tensor

    def __init__(self, config: MelCodecConfig) -> None:
        super().__init__()
        self.window, self.hop = config.window, config.hop
        filters = mel_filterbank(config)
        self.register_buffer("hann", torch.hann_window(config.window), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer(
            "spread", filters / filters.sum(1, keepdim=True).clamp(min=1e-8), persistent=False
        )

    def forward(self, waves: Tensor) -> Tensor:
        return self._log_mel(self._spectrum(waves).abs())

    def impose(self, waves: Tensor, frames: Tensor) -> Tensor:
        """Waveforms like `waves` whose log-mel is nearer to `frames`: their bands are scaled, their phases kept."""
        for _ in range(ROUNDS):
            spectrum = self._spectrum(waves)
            gain = torch.exp(TRUST * (frames - self._log_mel(spectrum.abs()))).clamp(0.05, 20)
            waves = overlap_add(spectrum * (gain @ self.spread.T), self.hann, self.hop)
        return waves

    def _spectrum(self, waves: Tensor) -> Tensor:
        side = (self.window - self.hop) // 2
        padded = nn.functional.pad(waves, (side, self.window - self.hop - side))
        spectrum = torch.stft(
            padded, self.window, self.hop, window=self.hann, center=False, return_complex=True
        )
        return spectrum.transpose(1, 2)

    def _log_mel(self, magnitude: Tensor) -> Tensor:
        return torch.log(magnitude @ self.filters + FLOOR)


def overlap_add(spectrum: Tensor, window: Tensor, hop: int) -> Tensor:
    """Inverse STFT of `[B, frames, window / 2 + 1]` to `[B, frames * hop]`, frame i centred on (i + 1/2) hop."""
    length, count = len(window), spectrum.shape[1]
    pieces = torch.fft.irfft(spectrum, length) * window
    fold = {"output_size": (1, (count - 1) * hop + length), "kernel_size": (1, length), "stride": (1, hop)}
    waves = nn.functional.fold(pieces.transpose(1, 2), **fold)[:, 0, 0]
    envelope = nn.functional.fold(window.square()[None, :, None].expand(1, -1, count), **fold)[:, 0, 0]
    side = (length - hop) // 2
    return (waves / envelope.clamp(min=1e-2))[:, side : side + count * hop]


class ResidualQuantiser(nn.Module):
    """Codebooks `[codebooks, entries, mels]` in normalised log-mel space, each over what the ones before left."""

    mean: Tensor
    scale: Tensor
    codebooks: Tensor

    def __init__(self, config: MelCodecConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer(
            "codebooks", torch.zeros(config.num_codebooks, config.codebook_size, config.mels)
        )

    def encode(self, frames: Tensor) -> Tensor:
        """`[..., mels]` -> `[..., codebooks]`: the best of a beam search over the codebooks."""
        residual = ((frames - self.mean) / self.scale).reshape(-1, 1, frames.shape[-1])
        codes = torch.zeros(len(residual), 1, 0, dtype=torch.long, device=frames.device)
        for codebook in self.codebooks:
            error = residual.square().sum(-1, keepdim=True) + _distance(residual, codebook)
            best = error.flatten(1).topk(min(BEAM, error[0].numel()), largest=False).indices
            parent, entry = best // len(codebook), best % len(codebook)
            residual = (
                residual.gather(1, parent[..., None].expand(-1, -1, residual.shape[-1])) - codebook[entry]
            )
            codes = torch.cat(
                [codes.gather(1, parent[..., None].expand(-1, -1, codes.shape[-1])), entry[..., None]], -1
            )
        return codes[:, 0].reshape(*frames.shape[:-1], len(self.codebooks))

    def decode(self, codes: Tensor) -> Tensor:
        chosen = [codebook[codes[..., k]] for k, codebook in enumerate(self.codebooks)]
        return torch.stack(chosen).sum(0) * self.scale + self.mean


def nearest_entry(points: Tensor, codebook: Tensor) -> Tensor:
    """Index of the entry at the smallest Euclidean distance: `[..., mels] x [entries, mels] -> [...]`."""
    return _distance(points, codebook).argmin(-1)


def _distance(points: Tensor, codebook: Tensor) -> Tensor:
    """Squared distance to every entry, less the square of the point itself."""
    return codebook.square().sum(-1) - 2 * points @ codebook.T


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int, expansion: int, scale: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.gain = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.mix(x.transpose(1, 2)).transpose(1, 2))
        return x + self.gain * self.contract(nn.functional.gelu(self.expand(mixed)))


class Vocoder(nn.Module):
    """Quantised log-mel frames `[B, frames, mels]` -> waveforms `[B, frames * hop]` and the frames without their noise."""

    hann: Tensor

    def __init__(self, config: MelCodecConfig) -> None:
        super().__init__()
        self.hop = config.hop
        self.enter = nn.Conv1d(config.mels, config.width, 7, padding=3)
        self.enter_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, 1 / config.blocks) for _ in range(config.blocks)
        )
        self.leave_norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.n_fft + 2)
        self.denoise = nn.Linear(config.width, config.mels)
        nn.init.zeros_(self.denoise.weight)
        self.register_buffer("hann", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = self.enter_norm(self.enter(frames.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        hidden = self.leave_norm(x)
        log_magnitude, phase = self.head(hidden).float().chunk(2, -1)
        spectrum = torch.polar(torch.exp(log_magnitude.clamp(max=5.0)), phase)
        return overlap_add(spectrum, self.hann, self.hop), frames + self.denoise(hidden).float()


class MelNetwork(nn.Module):
    """Everything of the codec that has weights; what is saved and trained."""

    def __init__(self, config: MelCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config)
        self.quantiser = ResidualQuantiser(config)
        self.vocoder = Vocoder(config)

    def encode(self, waves: Tensor) -> Tensor:
        return self.quantiser.encode(self.log_mel(waves))

    def decode(self, codes: Tensor) -> Tensor:
        return self.log_mel.impose(*self.vocoder(self.quantiser.decode(codes)))

    def fingerprint(self) -> str:
        """SHA-256 of what gives codes their meaning: the mel settings and the codebooks, not the vocoder."""
        c = self.config
        digest = hashlib.sha256(json.dumps([MEL, c.sample_rate, c.hop, c.window, c.mels, FLOOR]).encode())
        for tensor in (self.quantiser.mean, self.quantiser.scale, self.quantiser.codebooks):
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return f"mel:{digest.hexdigest()[:32]}"

    def save(self, directory: Path, half_vocoder: bool = False) -> None:
        """Write `config.json` and `model.safetensors`; the vocoder in float16 if asked, the codebooks never."""
        directory.mkdir(parents=True, exist_ok=True)
        weights = {
            name: tensor.half() if half_vocoder and name.startswith("vocoder.") else tensor
            for name, tensor in self.state_dict().items()
        }
        save_file(
            {name: tensor.contiguous() for name, tensor in weights.items()}, directory / "model.safetensors"
        )
        config = {"model_type": MEL, **asdict(self.config)}
        (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> MelNetwork:
        network = cls(MelCodecConfig.from_dict(json.loads((directory / "config.json").read_text())))
        try:
            weights = load_file(directory / "model.safetensors")
            network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        except Exception as error:
            raise UserError(f"{directory} does not hold the weights of its config.json: {error}") from error
        return network


class MelCodec:
    """The mel codec behind the `Codec` interface."""

    def __init__(self, network: MelNetwork, device: str = "cpu") -> None:
        config = network.config
        self.network = network.eval().to(device)
        self.device = device
        self.sample_rate, self.hop = config.sample_rate, config.hop
        self.frame_rate = config.sample_rate / config.hop
        self.num_codebooks, self.codebook_size = config.num_codebooks, config.codebook_size
        self.context = SETTLED
        self.fingerprint = network.fingerprint()

    @classmethod
    def load(cls, directory: Path, device: str = "cpu") -> MelCodec:
        return cls(MelNetwork.load(directory), device)

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        def run(batch: np.ndarray) -> np.ndarray:
            codes = self.network.encode(torch.from_numpy(batch).to(self.device))
            return codes.cpu().numpy().astype(np.uint16)

        return in_equal_lengths([padded_to_hop(wave, self.hop) for wave in waveforms], run)

    @torch.inference_mode()
    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        def run(batch: np.ndarray) -> np.ndarray:
            return self.network.decode(torch.from_numpy(batch.astype(np.int64)).to(self.device)).cpu().numpy()

        return in_equal_lengths([np.asarray(c) for c in codes], run)
