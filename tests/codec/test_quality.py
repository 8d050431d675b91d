from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rosella.cli import build_app
from rosella.codec.mel import MelCodecConfig, MelNetwork
from rosella.codec.quality import measure


class Copy:
    """A perfect codec of 16-bit samples, or one that decodes silence."""

    sample_rate, hop, frame_rate, num_codebooks, codebook_size, fingerprint = (
        16_000,
        1,
        16_000.0,
        1,
        65_536,
        "copy",
    )

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def encode(self, waveforms):
        return [np.round((wave + 1) * 32_767).astype(np.uint16)[:, None] for wave in waveforms]

    def decode(self, codes):
        noise = np.random.default_rng(0).standard_normal(200_000)
        return [self.gain * (c[:, 0] / 32_767 - 1) + (1 - self.gain) * 0.1 * noise[: len(c)] for c in codes]


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    random = np.random.default_rng(1)
    envelope = np.repeat(random.uniform(0, 1, 25), 1_600)
    return (0.2 * envelope * random.standard_normal(40_000)).clip(-1, 1).astype(np.float32)


def test_a_perfect_codec_scores_one_and_noise_near_nothing(clip):
    assert measure(Copy(), [clip]).stoi[0] > 0.999
    assert measure(Copy(0.0), [clip]).stoi[0] < 0.3


def test_use_counts_entries_over_all_clips():
    codec = Copy()
    codec.codebook_size = 4
    codec.encode = lambda waves: [np.array([[0], [1], [1]])]
    codec.decode = lambda codes: [np.zeros(16_000)]
    assert measure(codec, [np.random.default_rng(0).standard_normal(16_000)]).codebook_use == [0.5]


def test_the_verbs_train_and_evaluate(tmp_path, clip):
    import soundfile

    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "clip.wav", clip, 16_000)
    (tmp_path / "speech" / "cut.flac").write_bytes(b"fLaC")
    MelNetwork(MelCodecConfig(mels=20, num_codebooks=2, codebook_size=8, width=16, blocks=1)).save(
        tmp_path / "codec"
    )
    run = CliRunner().invoke(
        build_app(),
        ["codec", "evaluate", str(tmp_path / "speech"), "--codec", str(tmp_path / "codec"), "--json"],
    )
    assert run.exit_code == 0, run.output
    assert "left out" in run.stderr and "cut.flac" in run.stderr
    assert set(json.loads(run.stdout)) == {"mean_stoi", "stoi", "codebook_use", "seconds", "bits_per_second"}


def test_no_audio_is_one_sentence(tmp_path):
    run = CliRunner().invoke(build_app(), ["codec", "train", str(tmp_path), "--out", str(tmp_path / "codec")])
    assert "No audio found" in str(run.exception)


def test_audio_that_is_all_unusable_is_one_sentence(tmp_path):
    (tmp_path / "a.wav").touch()
    run = CliRunner().invoke(build_app(), ["codec", "evaluate", str(tmp_path)])
    assert "None of the 1 files can be used" in str(run.exception)
