"""The mel codec: shapes, batching, fingerprint, files, training that resumes exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rosella.codec import load_codec
from rosella.codec.mel import LogMel, MelCodec, MelCodecConfig, MelNetwork, overlap_add
from rosella.codec.training import CodecRecipe, fit_codebooks, train_codec
from rosella.errors import UserError

TINY = MelCodecConfig(mels=20, num_codebooks=3, codebook_size=16, width=16, blocks=1)
RECIPE = CodecRecipe(
    steps=4, batch=2, seconds=0.4, kmeans_frames=2_000, kmeans_rounds=4, save_every=2, warmup=1
)


def tone_clips(count: int = 6, seconds: float = 0.7) -> list[np.ndarray]:
    """Gliding harmonic tones with noise: something with a spectrum to learn."""
    random = np.random.default_rng(0)
    time = np.arange(int(seconds * TINY.sample_rate)) / TINY.sample_rate
    clips = []
    for _ in range(count):
        pitch = random.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * random.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / TINY.sample_rate
        wave = sum(np.sin(n * phase) / n for n in range(1, 12)) + 0.02 * random.standard_normal(len(time))
        clips.append((0.1 * wave).astype(np.float32))
    return clips


@pytest.fixture(scope="module")
def network() -> MelNetwork:
    torch.manual_seed(0)
    network = MelNetwork(TINY)
    fit_codebooks(network, tone_clips(), RECIPE)
    return network.eval()


def test_frames_are_hops_rounded_up_and_decoding_returns_whole_hops(network):
    codec = MelCodec(network)
    for samples in (1, 320, 321, 5_000):
        codes = codec.encode([np.ones(samples, np.float32) * 0.1])[0]
        assert codes.shape == (-(-samples // 320), 3)
        assert codes.dtype == np.uint16
        assert codec.decode([codes])[0].shape == (len(codes) * 320,)


def test_company_in_a_batch_changes_no_code(network):
    codec = MelCodec(network)
    clips = [clip[:length] for clip, length in zip(tone_clips(), (4_000, 9_000, 4_000, 700), strict=False)]
    together = codec.encode(clips)
    for clip, codes in zip(clips, together, strict=True):
        np.testing.assert_array_equal(codec.encode([clip])[0], codes)


def test_the_beam_never_quantises_worse_than_the_nearest_entry_at_each_step(network, monkeypatch):
    frames = network.log_mel(torch.from_numpy(np.stack(tone_clips())[:, :9_600]))
    errors = []
    for beam in (1, 8):
        monkeypatch.setattr("rosella.codec.mel.BEAM", beam)
        decoded = network.quantiser.decode(network.quantiser.encode(frames))
        errors.append(float((decoded - frames).square().mean()))
    assert errors[1] < 0.99 * errors[0]


def test_codebooks_lower_the_error_one_after_another(network):
    frames = network.log_mel(torch.from_numpy(np.stack(tone_clips())[:, :9_600]))
    codes = network.quantiser.encode(frames)
    normalised = (frames - network.quantiser.mean) / network.quantiser.scale
    sums = torch.cumsum(
        torch.stack([book[codes[..., k]] for k, book in enumerate(network.quantiser.codebooks)]), 0
    )
    errors = [float((normalised - partial).square().mean()) for partial in sums]
    assert errors[0] < float(normalised.square().mean())
    assert errors == sorted(errors, reverse=True)


def test_overlap_add_inverts_the_transform():
    config = replace(TINY, window=1_024)
    log_mel = LogMel(config)
    wave = torch.from_numpy(tone_clips(1)[0][:9_600])[None]
    back = overlap_add(log_mel._spectrum(wave), log_mel.hann, config.hop)
    torch.testing.assert_close(back[:, 640:-640], wave[:, 640:-640], atol=1e-4, rtol=1e-3)


def test_imposed_frames_are_what_one_then_measures(network):
    wave = torch.from_numpy(tone_clips(1)[0][:9_600])[None]
    wanted = network.log_mel(0.5 * wave)
    imposed = network.log_mel.impose(wave, wanted)
    before = (network.log_mel(wave) - wanted).abs().mean()
    assert (network.log_mel(imposed) - wanted).abs().mean() < 0.3 * before


def test_the_fingerprint_knows_the_codebooks_but_not_the_vocoder(network, tmp_path):
    network.save(tmp_path)
    other = MelNetwork.load(tmp_path)
    assert other.fingerprint() == network.fingerprint()
    with torch.no_grad():
        other.vocoder.head.bias += 1
        assert other.fingerprint() == network.fingerprint()
        other.quantiser.codebooks[0, 0, 0] += 1e-3
    assert other.fingerprint() != network.fingerprint()


def test_a_saved_codec_loads_by_path_and_a_half_vocoder_keeps_the_codes(network, tmp_path):
    network.save(tmp_path, half_vocoder=True)
    loaded, clip = load_codec(tmp_path), tone_clips(1)[0]
    assert loaded.fingerprint == network.fingerprint()
    np.testing.assert_array_equal(loaded.encode([clip])[0], MelCodec(network).encode([clip])[0])


def test_training_interrupted_equals_training_undisturbed(tmp_path):
    losses: dict[str, list[float]] = {"whole": [], "parts": []}
    whole = train_codec(
        tone_clips(), tmp_path / "whole", TINY, RECIPE, lambda values: losses["whole"].append(values["loss"])
    )

    def stop_after_three(values: dict[str, Any]) -> None:
        losses["parts"].append(values["loss"])
        if values["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_codec(tone_clips(), tmp_path / "parts", TINY, RECIPE, stop_after_three)
    losses["parts"].pop()  # step 3 is done again: the newest save is of step 2
    parts = train_codec(
        tone_clips(), tmp_path / "parts", TINY, RECIPE, lambda values: losses["parts"].append(values["loss"])
    )
    assert losses["parts"] == losses["whole"]
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], tensor, rtol=0, atol=0)


def test_training_lowers_the_loss(tmp_path):
    losses: list[float] = []
    recipe = replace(RECIPE, steps=60, batch=4, save_every=60, warmup=5)
    train_codec(tone_clips(), tmp_path, TINY, recipe, lambda values: losses.append(values["loss"]))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda path: (path / "config.json").write_text('{"model_type": "bert"}'),
            "holds a 'bert', not a codec",
        ),
        (lambda path: (path / "config.json").write_text("{"), "is not a codec"),
        (lambda path: None, "is not a codec"),
        (
            lambda path: MelNetwork(TINY).save(path) or (path / "model.safetensors").write_bytes(b"cut"),
            "does not hold",
        ),
    ],
)
def test_a_bad_codec_directory_is_refused(make, sentence, tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=sentence):
        load_codec(tmp_path)


def test_too_little_audio_and_empty_audio_are_refused(network, tmp_path):
    with pytest.raises(UserError, match="Too little audio"):
        train_codec([np.zeros(2_000, np.float32)], tmp_path, TINY, RECIPE)
    with pytest.raises(UserError, match="at least one sample"):
        MelCodec(network).encode([np.zeros(0, np.float32)])
