from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from codec.copying import Copy
from evaluate.synthetic_speech import RATE, sentence
from rosella.cli import build_app
from rosella.codec.mel import MelCodecConfig, MelNetwork
from rosella.codec.quality import measure, stoi


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


def test_stoi_falls_with_noise_and_refuses_clips_that_do_not_align() -> None:
    clean = sentence("aiueoyaiueoy")
    noise = np.random.default_rng(5).standard_normal(len(clean)).astype(np.float32)
    assert stoi(clean, clean[:-200], RATE) > 0.99
    assert stoi(clean, clean + 0.1 * noise, RATE) < 0.9
    with pytest.raises(ValueError, match="aligned"):
        stoi(clean, clean[: len(clean) // 2], RATE)
