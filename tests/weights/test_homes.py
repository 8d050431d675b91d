from __future__ import annotations

import shutil
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from foreign_homes import nari_state, parkiet_tree, weights, write_nari_config, write_parkiet
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.files import MANIFEST, seal
from rosella.model.config import preset
from rosella.training import state as checkpoints
from rosella.weights import load_model, open_home, save_model
from rosella.weights.tensors import WEIGHTS
from tiny_dia import ATTEND, CONFIG, model
from training import tiny

SHALLOW = {"encoder_config": {"num_hidden_layers": 1}}
"""Two steps of training `tiny.model()`, written before checkpoints had a `config.json`."""


def save(run, made, config):
    _, params = checkpoints.Skeleton.of(made)
    zero = jnp.int32(0)
    state = checkpoints.TrainState(params, {}, jnp.int32(7), jnp.zeros(2, jnp.uint32), zero, zero)
    return checkpoints.save(run / "checkpoints", state, {}, tiny.recipe("x"), config)


def age(checkpoint, **recipe):
    """Make it a checkpoint as they were once written, of a recipe with other values."""
    path = checkpoint / "recipe.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | recipe))
    for name in ("config.json", MANIFEST):
        (checkpoint / name).unlink()
    seal(checkpoint)


@pytest.fixture
def checkpoint(tmp_path):
    """Step 7 of a run that has ended, whose model is of another step."""
    save_model(tmp_path / "run" / "model", model(seed=1), ATTEND)
    return save(tmp_path / "run", model(), ATTEND)


def assert_becomes_a_model(checkpoint, out):
    assert open_home(checkpoint).kind == "rosella"
    convert(checkpoint, out, "nari")
    loaded, config = load_model(out)
    assert config == ATTEND
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)


def test_a_checkpoint_becomes_a_model(checkpoint, tmp_path):
    shutil.rmtree(tmp_path / "run" / "model")
    assert_becomes_a_model(checkpoint, tmp_path / "out")


def test_an_old_checkpoint_of_a_run_that_has_ended_is_described_by_its_model(checkpoint, tmp_path):
    age(checkpoint)
    assert_becomes_a_model(checkpoint, tmp_path / "out")


@pytest.mark.parametrize("name", ["progress.json", "config.json"])
def test_damage_is_refused(checkpoint, name):
    file = checkpoint / name
    file.write_text(file.read_text() + " ")
    with pytest.raises(UserError, match=f"damaged .{name} is not what was written.*choose another"):
        load_model(checkpoint)


@pytest.mark.parametrize("start", ["preset", "weights"])
def test_an_old_checkpoint_of_a_run_that_goes_on_is_described_by_its_recipe(tmp_path, start):
    save_model(tmp_path / "home", model(), CONFIG)
    config = CONFIG if start == "weights" else preset("mini", SHALLOW)
    made = save(tmp_path / "run", model(config), config)
    given = {
        "preset": {"weights": None, "preset": "mini", "overrides": SHALLOW},
        "weights": {"weights": str(tmp_path / "home"), "preset": None, "overrides": {}},
    }
    age(made, model=given[start], codec="my/codec")
    assert open_home(made).config == replace(config, codec="my/codec")


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "dia", model(), CONFIG)
    return tmp_path / "dia"


def test_missing_unexpected_and_misshaped_tensors_of_ours_are_all_named(saved):
    tensors = load_file(saved / WEIGHTS)
    del tensors["logits_dense.weight"]
    tensors["model.extra"] = np.zeros(3, np.float32)
    name = "model.decoder.layers.1.mlp.down_proj.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)
    save_file(tensors, saved / WEIGHTS)
    with pytest.raises(UserError) as error:
        load_model(saved)
    for part in (
        "missing logits_dense.weight",
        "unexpected model.extra",
        f"{name} is (40, 24), not (24, 40)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("kind", ["nari", "reference"])
def test_missing_unexpected_and_misshaped_tensors_are_all_named(tmp_path, kind):
    tree = parkiet_tree() if kind == "reference" else nari_state()
    leaf = tree["encoder"]["layers"][1]["mlp"]["wo"] if kind == "reference" else tree
    name = "kernel" if kind == "reference" else "encoder.layers.1.mlp.wo.weight"
    leaf[name] = np.ascontiguousarray(leaf[name].T)
    (tree["decoder"]["norm"] if kind == "reference" else tree).pop(
        "scale" if kind == "reference" else "decoder.norm.weight"
    )
    tree["extra"] = np.ones(3, np.float32)
    if kind == "reference":
        write_parkiet(tmp_path / "home", tree)
        wanted = ["missing decoder/norm/scale", "encoder/layers/1/mlp/wo/kernel is (16, 24), not (24, 16)"]
    else:
        (tmp_path / "home").mkdir()
        save_file(tree, tmp_path / "home" / WEIGHTS)
        wanted = ["missing decoder.norm.weight", "encoder.layers.1.mlp.wo.weight is (16, 24), not (24, 16)"]
    write_nari_config(tmp_path / "home" / "config.json")
    with pytest.raises(UserError) as error:
        convert(tmp_path / "home", tmp_path / "out", "rosella")
    for part in [*wanted, "unexpected extra"]:
        assert part in str(error.value)


def test_types_that_no_weight_has_are_refused(saved):
    tensors = load_file(saved / WEIGHTS)
    name = "model.encoder.norm.weight"
    save_file(tensors | {name: tensors[name].astype(np.int32)}, saved / WEIGHTS)
    with pytest.raises(UserError, match=f"{name} is none of float64, float32"):
        load_model(saved)
