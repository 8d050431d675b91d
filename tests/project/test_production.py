"""The production road by its own names: Dia and DAC with random weights, in a cache as the hub client keeps it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support import ROOT, environment

COMMIT = "0" * 40
DAC = {"sampling_rate": 44_100, "downsampling_ratios": [2, 4, 8, 8], "n_codebooks": 9, "codebook_size": 1024}
SMALL_DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 32}
SMALL_ENCODER = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "head_dim": 8}
SMALL_DECODER = {**SMALL_ENCODER, "cross_hidden_size": 32, "cross_head_dim": 8}
TRAINING = "steps=2 optimizer.warmup=0 data.batch_frames=600 data.max_frames=600 data.buckets=1"


def snapshot(cache: Path, name: str) -> Path:
    """The folder in which the hub client keeps the files of `name`."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def write_dac(folder: Path, **sizes: int) -> None:
    from transformers import DacConfig, DacModel

    DacModel(DacConfig(**DAC, **sizes)).save_pretrained(folder)


def write_dia(folder: Path, encoder: dict, decoder: dict, deviation: float = 0.02) -> int:
    """Transformers' own model and files, in shards; returns the number of parameters."""
    import torch
    from transformers import DiaConfig, DiaForConditionalGeneration
    from transformers.initialization import no_init_weights

    torch.manual_seed(0)
    with no_init_weights():
        config = DiaConfig(encoder_config=encoder, decoder_config=decoder)
        model = DiaForConditionalGeneration(config).to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        parameter.data.normal_(1.0 if "norm" in name else 0.0, deviation)
    model.save_pretrained(folder, max_shard_size="1GB" if not encoder else "50KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture
def command(tmp_path):
    """Runs `rosella` in `tmp_path`, with a hub cache there and no network."""

    def run(*arguments: object) -> str:
        made = subprocess.run(
            [sys.executable, "-m", "rosella", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment(), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        return made.stdout

    return run


def add_a_clip(folder: Path, command, seconds: float) -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * 44_100))
    soundfile.write(folder / "clip.wav", wave, 44_100)
    turn = {"start": 0.0, "end": seconds, "speaker": "a", "text": "Hello there."}
    (folder / "manifest.jsonl").write_text(json.dumps({"audio": "clip.wav", "turns": [turn]}) + "\n")
    command("corpus", "add", "manifest.jsonl", "--corpus", "corpus")
    command("corpus", "run", "--corpus", "corpus", "--codec", "descript/dac_44khz")
    assert "1 utterances" in command("corpus", "export", "--corpus", "corpus")


def speak(folder: Path, command, model: str) -> None:
    command("speak", "[S1] Hello. [S2] Hi!", "--model", model, "--max-seconds", 0.1, "-o", "out.wav")
    wave, rate = soundfile.read(folder / "out.wav")
    assert (len(wave), rate) == (8 * 512, 44_100) and np.isfinite(wave).all()


@pytest.mark.slow
def test_a_small_dia_by_its_hub_name(tmp_path, command):
    write_dac(snapshot(tmp_path / "hub", "descript/dac_44khz"), **SMALL_DAC)
    write_dia(snapshot(tmp_path / "hub", "nari-labs/Dia-1.6B-0626"), SMALL_ENCODER, SMALL_DECODER)
    add_a_clip(tmp_path, command, 1.0)
    recipe = ROOT / "recipes/dia.yaml"
    command("train", recipe, "data.export=corpus", *TRAINING.split(), "--run", "run")
    speak(tmp_path, command, "run/model")


@pytest.mark.slow
def test_the_full_dia_by_its_hub_name(tmp_path, command):
    """1.6 B parameters: 3 GB on disk, 7 in memory, a few minutes on two cores."""
    write_dac(snapshot(tmp_path / "hub", "descript/dac_44khz"))
    parameters = write_dia(snapshot(tmp_path / "hub", "nari-labs/Dia-1.6B-0626"), {}, {})
    assert parameters == pytest.approx(1.61e9, rel=0.01)
    add_a_clip(tmp_path, command, 0.5)
    speak(tmp_path, command, "nari-labs/Dia-1.6B-0626")
