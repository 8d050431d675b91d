from __future__ import annotations

import json
from dataclasses import replace

import pytest

from foreign_homes import model, weights, write_pickle
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.weights import load_model, open_home, save_model
from rosella.weights.configs import read_config
from tiny_dia import CONFIG


@pytest.fixture
def pickled(tmp_path):
    return write_pickle(tmp_path)


def test_the_first_release_of_nari_had_other_names_in_its_config(pickled):
    encoder, decoder = CONFIG.encoder, CONFIG.decoder
    values = {
        "version": "0.1",
        "model": {
            "encoder": {"n_layer": 2, "n_embd": 16, "n_hidden": 24, "n_head": 2, "head_dim": 8},
            "decoder": {
                "n_layer": 2,
                "n_embd": 24,
                "n_hidden": 40,
                "gqa_query_heads": 4,
                "kv_heads": 2,
                "gqa_head_dim": 8,
                "cross_query_heads": 2,
                "cross_head_dim": 4,
            },
            "src_vocab_size": 256,
            "tgt_vocab_size": 20,
            "normalization_layer_epsilon": 1e-6,
            "rope_max_timescale": 500,
        },
        "data": {
            "text_length": 64,
            "audio_length": 128,
            "channels": 3,
            "audio_eos_value": 16,
            "audio_pad_value": 17,
            "audio_bos_value": 18,
            "delay_pattern": [0, 2, 3],
        },
    }
    path = pickled.parent / "config.json"
    path.write_text(json.dumps(values))
    same = {"norm_eps": 1e-6, "rope_theta": 500}
    cross = {"cross_num_attention_heads": 2, "cross_num_key_value_heads": 2}
    wanted = DiaConfig(replace(encoder, **same), replace(decoder, **same, **cross), CONFIG.delay_pattern)
    assert read_config(path) == wanted
    del values["data"]["channels"]
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="does not say channels"):
        load_model(pickled)


@pytest.mark.parametrize("kind", ["nari", "reference"])
def test_without_a_config_the_shapes_tell(tmp_path, kind):
    """All but the epsilon, the rotary base and the longest text and audio, which are Dia's own."""
    usual = DiaConfig()
    decoder = replace(CONFIG.decoder, num_channels=9, max_position_embeddings=3072)
    encoder = replace(CONFIG.encoder, max_position_embeddings=1024)
    config = replace(usual, encoder=encoder, decoder=decoder)
    save_model(tmp_path / "home", model(config), config)
    convert(tmp_path / "home", tmp_path / kind, kind)
    (tmp_path / kind / "config.json").unlink()
    found = open_home(tmp_path / kind).config
    attend = {"cross_attention_padding": "attend", "trained_text_length": 1024}
    assert found == (replace(config, **attend) if kind == "reference" else config)
    loaded, wanted = weights(load_model(tmp_path / kind)[0]), weights(model(config))
    assert all((loaded[name] == value).all() for name, value in wanted.items())


def test_other_codebooks_need_a_config(pickled):
    (pickled.parent / "config.json").unlink()
    with pytest.raises(UserError, match="model of 3 codebooks.*put its config.json into"):
        load_model(pickled)
