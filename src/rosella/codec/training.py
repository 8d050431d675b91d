"""Train the mel codec on recordings: k-means for the codebooks first, then the vocoder on quantised frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rosella.codec.mel import MelCodecConfig, MelNetwork, nearest_entry
from rosella.errors import UserError
from rosella.files import replacing
from rosella.progress import Report, unread

RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64))  # (window, hop) of the spectral losses


@dataclass(frozen=True)
class CodecRecipe:
    steps: int = 6_000
    batch: int = 8
    seconds: float = 1.0
    learning_rate: float = 1e-3
    warmup: int = 100
    unquantised: float = 0.1
    """Share of training clips that skip the quantiser, so that the vocoder also learns from exact frames."""
    kmeans_frames: int = 150_000
    kmeans_rounds: int = 30
    seed: int = 0
    save_every: int = 500


def fit_codebooks(network: MelNetwork, waves: Sequence[np.ndarray], recipe: CodecRecipe) -> None:
    """Fill the quantiser by residual k-means (Lloyd's algorithm) over frames drawn from `waves`."""
    generator = torch.Generator().manual_seed(recipe.seed)
    frames = _sample_frames(network, waves, recipe.kmeans_frames, generator)
    quantiser = network.quantiser
    if len(frames) < quantiser.codebooks.shape[1]:
        needed = quantiser.codebooks.shape[1] / (network.config.sample_rate / network.config.hop)
        raise UserError(
            f"Too little audio for the codebooks: give at least {needed:.0f} seconds, better an hour."
        )
    quantiser.mean.copy_(frames.mean(0))
    quantiser.scale.copy_((frames - quantiser.mean).std())
    residual = (frames - quantiser.mean) / quantiser.scale
    for codebook in quantiser.codebooks:
        codebook.copy_(kmeans(residual, len(codebook), recipe.kmeans_rounds, generator))
        residual = residual - codebook[nearest_entry(residual, codebook)]


@torch.inference_mode()
def _sample_frames(
    network: MelNetwork, waves: Sequence[np.ndarray], count: int, generator: torch.Generator
) -> Tensor:
    order = torch.randperm(len(waves), generator=generator).tolist()
    hop, chosen, total = network.config.hop, [], 0
    for index in order:
        wave = torch.from_numpy(waves[index])
        chosen.append(
            network.log_mel(wave[None, : len(wave) // hop * hop])[0]
            if len(wave) >= hop
            else wave.new_zeros(0, network.config.mels)
        )
        total += len(chosen[-1])
        if total >= count:
            break
    return torch.cat(chosen)[:count]


def kmeans(points: Tensor, entries: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Lloyd's k-means; an entry that loses all its points moves to a random point. Returns `[entries, mels]`."""
    codebook = points[torch.randperm(len(points), generator=generator)[:entries]].clone()
    for _ in range(rounds):
        nearest = nearest_entry(points, codebook)
        counts = torch.bincount(nearest, minlength=entries)
        sums = torch.zeros_like(codebook).index_add_(0, nearest, points)
        empty = counts == 0
        codebook = sums / counts.clamp(min=1)[:, None]
        codebook[empty] = points[torch.randint(len(points), (int(empty.sum()),), generator=generator)]
    return codebook


class SpectralLoss(nn.Module):
    """Mean over resolutions of the L1 distance of magnitudes, linear and logarithmic (Yamamoto 2020, arXiv 1910.11480)."""

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        return torch.stack([self._at(made, true, *resolution) for resolution in RESOLUTIONS]).mean()

    def _at(self, made: Tensor, true: Tensor, window: int, hop: int) -> Tensor:
        hann = torch.hann_window(window, device=made.device)
        made, true = (
            torch.stft(x, window, hop, window=hann, return_complex=True).abs() / math.sqrt(window)
            for x in (made, true)
        )
        log_distance = (torch.log(made + 1e-4) - torch.log(true + 1e-4)).abs().mean()
        convergence = (made - true).norm() / true.norm().clamp(min=1e-4)
        return log_distance + convergence


class _Clips:
    """Random training clips `[batch, samples]`; those of step n depend on the seed and n alone, so a resume is exact."""

    def __init__(self, waves: Sequence[np.ndarray], recipe: CodecRecipe, config: MelCodecConfig) -> None:
        self.length = int(recipe.seconds * config.sample_rate) // config.hop * config.hop
        self.waves = [np.pad(wave, (0, max(0, self.length - len(wave)))) for wave in waves]
        self.recipe = recipe

    def at(self, step: int) -> Tensor:
        random = np.random.default_rng([self.recipe.seed, step])
        clips = []
        for index in random.integers(len(self.waves), size=self.recipe.batch):
            wave = self.waves[index]
            start = random.integers(len(wave) - self.length + 1)
            gain = 10 ** random.uniform(-0.3, 0.15)
            clips.append(wave[start : start + self.length] * gain)
        return torch.from_numpy(np.stack(clips).astype(np.float32))


def train_codec(
    waves: Sequence[np.ndarray],
    out: Path,
    config: MelCodecConfig,
    recipe: CodecRecipe,
    report: Report = unread,
    device: str = "cpu",
) -> MelNetwork:
    """Train on mono waveforms at `config.sample_rate`; writes the codec to `out` and resumes from what is there.

    `report` receives the `step` and the `loss` of each step."""
    torch.manual_seed(recipe.seed)
    network = MelNetwork(config).to(device)
    optimizer = torch.optim.AdamW(network.vocoder.parameters(), recipe.learning_rate, (0.8, 0.99), fused=True)
    done = _restore(out, network, optimizer)
    if done is None:
        fit_codebooks(network.cpu(), waves, recipe)
        network.to(device)
        done = 0
        _save(out, network, optimizer, done)
    clips, loss_of = _Clips(waves, recipe, config), SpectralLoss()
    for step in range(done, recipe.steps):
        rate = recipe.learning_rate * _schedule(step, recipe)
        loss = _step(network, optimizer, clips.at(step).to(device), loss_of, rate, recipe, step)
        report({"step": step + 1, "loss": loss})
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            _save(out, network, optimizer, step + 1)
    return network.eval()


def _schedule(step: int, recipe: CodecRecipe) -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def _step(
    network: MelNetwork,
    optimizer: torch.optim.Optimizer,
    waves: Tensor,
    loss_of: SpectralLoss,
    rate: float,
    recipe: CodecRecipe,
    step: int,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.no_grad():
        true_frames = network.log_mel(waves)
        generator = torch.Generator().manual_seed(recipe.seed + step)
        exact = torch.rand(len(waves), 1, 1, generator=generator).to(waves.device) < recipe.unquantised
        quantised = network.quantiser.decode(network.quantiser.encode(true_frames))
        frames = torch.where(exact, true_frames, quantised)
    with torch.autocast(waves.device.type, torch.bfloat16, enabled=_bfloat16_is_fast(waves.device)):
        made, made_frames = network.vocoder(frames)
    loss = loss_of(made, waves) + (made_frames - true_frames).abs().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.vocoder.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _bfloat16_is_fast(device: torch.device) -> bool:
    return device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _save(out: Path, network: MelNetwork, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        f"{index}.{key}": value
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    with replacing(out / "training.safetensors") as temporary:
        save_file({**state, **weights, "done": torch.tensor(step)}, temporary)
    network.save(out)


def _restore(out: Path, network: MelNetwork, optimizer: torch.optim.Optimizer) -> int | None:
    path = out / "training.safetensors"
    if not path.exists():
        return None
    saved = load_file(path)
    done = int(saved.pop("done"))
    network.load_state_dict(
        {name[8:]: saved.pop(name) for name in list(saved) if name.startswith("network.")}
    )
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in saved.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return done
