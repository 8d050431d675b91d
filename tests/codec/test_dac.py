"""The production codec, with random weights in the hub's file format."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rosella.codec import load_codec
from rosella.errors import UserError

DAC_44KHZ = {
    "sampling_rate": 44_100,
    "downsampling_ratios": [2, 4, 8, 8],
    "n_codebooks": 9,
    "codebook_size": 1024,
}
SMALL = {**DAC_44KHZ, "encoder_hidden_size": 4, "decoder_hidden_size": 32}


def write_dac(path, **config):
    from transformers import DacConfig, DacModel

    torch.manual_seed(0)
    DacModel(DacConfig(**config)).save_pretrained(path)
    return path


def test_codes_have_the_shape_of_the_production_model(tmp_path):
    codec = load_codec(write_dac(tmp_path, **SMALL))
    assert (codec.sample_rate, codec.hop, codec.num_codebooks, codec.codebook_size) == (44_100, 512, 9, 1024)
    assert codec.frame_rate == pytest.approx(86.13, abs=0.01)
    noise = np.random.default_rng(0).standard_normal(5_000).astype(np.float32) * 0.1
    codes = codec.encode([noise, noise[:3_000], noise])
    assert [c.shape for c in codes] == [(10, 9), (6, 9), (10, 9)]
    assert codes[0].dtype == np.uint16
    np.testing.assert_array_equal(codes[0], codes[2])
    assert codec.decode(codes)[1].shape == (6 * 512,)


def test_odd_strides_still_return_whole_hops(tmp_path):
    codec = load_codec(write_dac(tmp_path, **{**SMALL, "downsampling_ratios": [3, 5]}))
    codes = codec.encode([np.zeros(100, np.float32)])[0]
    assert codec.decode([codes])[0].shape == (len(codes) * 15,)


def test_the_fingerprint_is_that_of_the_weights(tmp_path):
    first, same = (
        load_codec(write_dac(tmp_path / "a", **SMALL)),
        load_codec(write_dac(tmp_path / "b", **SMALL)),
    )
    other = load_codec(write_dac(tmp_path / "c", **{**SMALL, "sampling_rate": 24_000}))
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != other.fingerprint


def test_neither_a_directory_nor_a_hub_name_is_refused_without_asking_the_hub():
    with pytest.raises(UserError, match="no codec directory nobody"):
        load_codec("nobody")


def test_a_name_that_cannot_be_had_is_one_sentence():
    with pytest.raises(UserError, match="could not be loaded: give the path"):
        load_codec("nobody/no-such-codec")


@pytest.mark.slow
def test_the_full_configuration_encodes_and_decodes_a_short_clip(tmp_path):
    codec = load_codec(write_dac(tmp_path, **DAC_44KHZ))
    assert sum(parameter.numel() for parameter in codec.model.parameters()) > 70e6
    wave = np.random.default_rng(0).standard_normal(8 * 512).astype(np.float32) * 0.1
    codes = codec.encode([wave])[0]
    assert codes.shape == (8, 9)
    assert codec.decode([codes])[0].shape == (8 * 512,)
