"""The production codec: Descript's DAC through Transformers' `DacModel` (hub name or local directory)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DacModel

from rosella.codec.interface import in_equal_lengths, padded_to_hop
from rosella.errors import UserError


class DacCodec:
    """DAC behind the `Codec` interface. The 44.1 kHz model has 9 codebooks of 1,024 entries and a hop of 512 samples."""

    def __init__(self, model: DacModel, device: str = "cpu") -> None:
        config = model.config
        self.model: Any = model.eval()
        self.model.to(device)
        self.device = device
        self.sample_rate, self.hop = int(config.sampling_rate), int(config.hop_length)
        self.frame_rate = self.sample_rate / self.hop
        self.num_codebooks, self.codebook_size = int(config.n_codebooks), int(config.codebook_size)
        self.context = _reach(config.upsampling_ratios)
        self.fingerprint = _fingerprint(model)

    @classmethod
    def load(cls, name_or_path: str | Path, device: str = "cpu") -> DacCodec:
        """Read a directory in Transformers' format, or the hub's copy of a name."""
        try:
            model = DacModel.from_pretrained(str(name_or_path), dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise UserError(
                f"The codec {name_or_path!s} could not be loaded: give the path of a codec directory, or a hub name "
                f"such as descript/dac_44khz on a machine that can reach the hub."
            ) from error
        return cls(model, device)

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        def run(batch: np.ndarray) -> np.ndarray:
            waves = torch.from_numpy(batch)[:, None].to(self.device)
            codes = self.model.encode(waves).audio_codes
            return codes.transpose(1, 2).cpu().numpy().astype(np.uint16)

        return in_equal_lengths([padded_to_hop(wave, self.hop) for wave in waveforms], run)

    @torch.inference_mode()
    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        def run(batch: np.ndarray) -> np.ndarray:
            indices = torch.from_numpy(batch.astype(np.int64)).transpose(1, 2).to(self.device)
            waves = self.model.decode(audio_codes=indices).audio_values
            # Odd strides shorten what the transposed convolutions return; the contract is frames x hop.
            missing = batch.shape[1] * self.hop - waves.shape[-1]
            return torch.nn.functional.pad(waves, (0, missing)).cpu().numpy()

        return in_equal_lengths([np.asarray(c) for c in codes], run)


def _reach(ratios: Sequence[int]) -> int:
    """Frames that a sample depends on, on either side.

    A convolution of width 7 at the rate of frames; at each block one that multiplies the rate by `ratio` and is twice as
    wide, then three residual units of width 7, dilated by 1, 3 and 9; and one more of width 7 at the end.
    """
    reach, rate = 3.0, 1
    for ratio in ratios:
        reach += 1 / rate
        rate *= ratio
        reach += 3 * (1 + 3 + 9) / rate
    return math.ceil(reach + 3 / rate)


def _fingerprint(model: DacModel) -> str:
    """SHA-256 of what gives codes their meaning: the quantiser's weights, the encoder's first layer, rate and hop."""
    digest = hashlib.sha256(f"{model.config.sampling_rate} {model.config.hop_length}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(("quantizer.", "encoder.conv1.")):
            digest.update(tensor.float().cpu().numpy().tobytes())
    return f"dac:{digest.hexdigest()[:32]}"
