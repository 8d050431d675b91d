from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rosella.errors import UserError
from rosella.model.config import DiaConfig, dia_1_6b, mini
from tiny_dia import ATTEND, CONFIG


@pytest.mark.parametrize("config", [CONFIG, ATTEND, dia_1_6b(), mini(), replace(CONFIG, blocks=8)])
def test_a_configuration_survives_json(config):
    assert DiaConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_hub_file_of_dia_is_the_preset():
    """Older files carry `rope_theta` beside `rope_scaling: null`, and know nothing of ours."""
    values = {
        "model_type": "dia",
        "delay_pattern": [0, 8, 9, 10, 11, 12, 13, 14, 15],
        "encoder_config": {"hidden_size": 1024, "rope_theta": 10000.0, "rope_scaling": None},
        "decoder_config": {"hidden_size": 2048, "rope_theta": 10000.0, "use_cache": True},
        "torch_dtype": "float32",
    }
    assert DiaConfig.from_dict(values) == dia_1_6b()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"delay_pattern": (0, 1)}, "2 delays for 3 codebooks"),
        ({"delay_pattern": (1, 2, 3)}, "delay 0"),
        ({"decoder": replace(CONFIG.decoder, pad_token_id=19)}, "PAD must be EOS"),
        ({"decoder": replace(CONFIG.decoder, num_key_value_heads=3)}, "divide"),
        ({"decoder": replace(CONFIG.decoder, cross_hidden_size=8)}, "cross_hidden_size"),
        ({"cross_attention_padding": "maybe"}, "neither mask nor attend"),
        ({"cross_attention_padding": "attend"}, "trained_text_length"),
        ({"blocks": 0}, "blocks of 0 steps"),
    ],
)
def test_unusable_numbers_are_refused(change, part):
    with pytest.raises(UserError, match=part):
        replace(CONFIG, **change)


def test_other_architectures_are_refused():
    with pytest.raises(UserError, match="not 'dia'"):
        DiaConfig.from_dict({"model_type": "bert"})
    scaled = {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}
    with pytest.raises(UserError, match="rotary"):
        DiaConfig.from_dict({"model_type": "dia", "encoder_config": scaled})


def test_a_number_of_another_version_is_refused():
    values = CONFIG.to_dict()
    values["rosella"]["whispers"] = 3
    with pytest.raises(UserError, match=r"the key rosella\.whispers, which this version .* take the version"):
        DiaConfig.from_dict(values)


@pytest.mark.parity
@pytest.mark.parametrize("config", [dia_1_6b(), mini()])
def test_transformers_reads_the_same_numbers(config, tmp_path):
    from transformers import DiaConfig as Theirs

    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    Theirs.from_pretrained(tmp_path).save_pretrained(tmp_path)
    assert DiaConfig.from_dict(json.loads((tmp_path / "config.json").read_text())) == config
