from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from foreign_homes import weights
from rosella.convert import training
from rosella.convert.checkpoint import load_model, save_model
from rosella.convert.conversion import convert
from rosella.convert.homes import open_home
from rosella.errors import UserError
from rosella.model.config import preset
from rosella.training import state as checkpoints
from tiny_dia import ATTEND, model
from training.tiny import recipe

SHALLOW = {"encoder_config": {"num_hidden_layers": 1}}


def save(run, made, given):
    _, params = checkpoints.Skeleton.of(made)
    zero = jnp.int32(0)
    state = checkpoints.TrainState(params, {}, jnp.int32(7), jnp.zeros(2, jnp.uint32), zero, zero)
    return checkpoints.save(run / "checkpoints", state, {}, given)


@pytest.fixture
def checkpoint(tmp_path):
    """Step 7 of a run that has ended, whose model is of another step."""
    save_model(tmp_path / "run" / "model", model(seed=1), ATTEND)
    return save(tmp_path / "run", model(), recipe("x"))


def test_a_checkpoint_becomes_a_model(checkpoint, tmp_path):
    assert open_home(checkpoint).kind == "rosella"
    convert(checkpoint, tmp_path / "out", "nari")
    loaded, config = load_model(tmp_path / "out")
    assert config == ATTEND
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)


def test_damage_is_refused(checkpoint):
    progress = checkpoint / "progress.json"
    progress.write_text(progress.read_text() + " ")
    with pytest.raises(UserError, match="damaged.*choose another"):
        load_model(checkpoint)


@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        ({"weights": None, "preset": "mini", "overrides": SHALLOW}, preset("mini", SHALLOW)),
        ({"weights": "some/home"}, ATTEND),
    ],
)
def test_a_run_that_goes_on_is_described_by_its_recipe(tmp_path, start, wanted):
    made = save(tmp_path / "run", model(), recipe("x", model=start, codec="my/codec"))
    found, _ = training.open_checkpoint(made, {"some/home": ATTEND}.__getitem__)
    assert found == replace(wanted, codec="my/codec")
