from __future__ import annotations

import re

import numpy as np
import pytest

from foreign_homes import weights
from rosella.errors import NoSpace, UserError
from rosella.weights import interpolate, load_model, save_model
from support import ROOT
from tiny_dia import CONFIG, model


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "dia", model(), CONFIG)
    return tmp_path / "dia"


def test_a_model_survives_the_disk_bit_for_bit(saved):
    loaded, config = load_model(saved)
    assert config == CONFIG
    for path, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[path], value, err_msg=str(path))
    assert not list(saved.glob(".*"))


def test_between_two_models_every_parameter_is_between(saved):
    mixed, ours, saved_one = interpolate(model(seed=1), saved, 0.25), model(seed=1), model()
    for path, value in weights(mixed).items():
        expected = 0.75 * weights(ours)[path] + 0.25 * weights(saved_one)[path]
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7, err_msg=str(path))


def test_named_parameters_alone_are_taken_from_the_other_model(saved):
    keep = {
        "decoder.layers.self_attention": 1.0,
        "decoder.layers.self_attention.value": 0.25,
        "encoder.norm": 1,
    }
    mixed, ours, theirs = (
        weights(each) for each in (interpolate(model(seed=1), saved, keep), model(seed=1), model())
    )
    for path, value in mixed.items():
        lies_in = path[:3] == ("decoder", "layers", "self_attention") or path[:2] == ("encoder", "norm")
        share = 0.25 if path[:4] == ("decoder", "layers", "self_attention", "value") else float(lies_in)
        np.testing.assert_allclose(
            value, (1 - share) * ours[path] + share * theirs[path], rtol=1e-6, atol=1e-7, err_msg=str(path)
        )


def test_a_parameter_that_there_is_not_cannot_be_kept(saved):
    for name in ("decoder.layers.self_att", "encoder.norm.scale.more"):
        with pytest.raises(UserError, match=rf"no parameter {name}: choose of decoder\.embedding, "):
            interpolate(model(), saved, {name: 1.0})


def test_a_failed_write_leaves_the_old_model(saved, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(NoSpace, match="No space left to write .*model.safetensors"):
        save_model(saved, model(seed=1), CONFIG)
    np.testing.assert_array_equal(
        *(weights(m)[("decoder", "logits")] for m in (load_model(saved)[0], model()))
    )


def test_the_example_of_the_documentation(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "model.md").read_text("utf-8")
    example = re.search(r"## Weights\n```python\n(.*?)```", page, re.S)
    assert example is not None
    monkeypatch.chdir(tmp_path)
    exec(example[1], {})
    assert capsys.readouterr().out == "rosella 5\n"
    copied, wanted = (weights(load_model(name)[0]) for name in ("copy", "mini"))
    for path, value in wanted.items():
        np.testing.assert_array_equal(copied[path], value)
