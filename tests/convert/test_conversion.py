from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from foreign_homes import (
    model,
    parkiet_tree,
    weights,
    write_nari_config,
    write_parkiet,
    write_pickle,
)
from rosella.convert import conversion
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.weights import load_model, open_home, save_model
from rosella.weights.tensors import WEIGHTS
from tiny_dia import ATTEND, CONFIG


@pytest.fixture
def home(tmp_path):
    save_model(tmp_path / "home", model(), CONFIG)
    return tmp_path / "home"


@pytest.fixture
def pickled(tmp_path):
    return write_pickle(tmp_path)


@pytest.fixture
def parkiet(tmp_path):
    write_parkiet(tmp_path / "parkiet")
    write_nari_config(tmp_path / "parkiet" / "config.json")
    return tmp_path / "parkiet"


def assert_same_model(path, config=CONFIG):
    loaded, found = load_model(path)
    assert found == config
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value, err_msg=str(name))


def test_a_way_through_every_home_changes_nothing(home, tmp_path):
    """Every pair of kinds, in both directions."""
    road = ("nari", "reference", "rosella", "reference", "nari", "rosella")
    for number, kind in enumerate(road):
        home, source = tmp_path / str(number), home
        convert(source, home, kind)
        assert open_home(home).kind == kind
    assert_same_model(home)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("config", [CONFIG, ATTEND])
def test_how_padding_is_treated_travels_along(tmp_path, config):
    save_model(tmp_path / "0", model(), config)
    for number, kind in enumerate(("nari", "reference", "rosella")):
        convert(tmp_path / str(number), tmp_path / str(number + 1), kind)
        assert open_home(tmp_path / str(number + 1)).config == config
    attends = config is ATTEND
    assert bool(conversion.find_warning(config, "nari")) == attends
    assert bool(conversion.find_warning(config, "reference")) != attends
    assert not conversion.find_warning(config, "transformers")


def test_a_pickle_of_nari(pickled, tmp_path):
    assert open_home(pickled).kind == "nari"
    assert_same_model(pickled, replace(CONFIG, codec="descript/dac_44khz"))
    convert(pickled, tmp_path / "attending", "rosella", trained_text_length=32)
    wanted = replace(ATTEND, codec="descript/dac_44khz")
    assert_same_model(tmp_path / "attending", wanted)


def test_a_checkpoint_of_parkiet_attends_to_padding(parkiet):
    """That is how its decoder was trained; its own config.json does not say so."""
    wanted = replace(
        CONFIG, codec="descript/dac_44khz", cross_attention_padding="attend", trained_text_length=64
    )
    assert open_home(parkiet).kind == "reference"
    assert_same_model(parkiet, wanted)


def test_the_constants_of_parkiet_are_compared_and_written(parkiet, home, tmp_path):
    import orbax.checkpoint as ocp

    convert(home, tmp_path / "ours", "reference")
    with ocp.StandardCheckpointer() as checkpointer:
        found, wanted = (checkpointer.restore(path) for path in (tmp_path / "ours", parkiet))
    assert json.dumps(found, default=np.ndarray.tolist, sort_keys=True) == json.dumps(
        wanted, default=np.ndarray.tolist, sort_keys=True
    )
    write_parkiet(tmp_path / "other", parkiet_tree(theta=500.0))
    write_nari_config(tmp_path / "other" / "config.json")
    with pytest.raises(UserError, match="not that of a base of 10000"):
        load_model(tmp_path / "other")


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_types_stay_as_they_are_stored(home, tmp_path, to):
    """Matrices in bfloat16 beside norms in float32, as Nari's code makes them."""
    tensors = {
        name: value if value.ndim == 1 else value.astype(ml_dtypes.bfloat16)
        for name, value in load_file(home / WEIGHTS).items()
    }
    save_file(tensors, home / WEIGHTS)
    convert(home, tmp_path / "there", to)
    convert(tmp_path / "there", tmp_path / "back", "rosella")
    back = load_file(tmp_path / "back" / WEIGHTS)
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)
    assert json.loads((tmp_path / "back" / "config.json").read_text())["dtype"] == "float32"


def test_a_type_that_is_asked_for(home, tmp_path):
    convert(home, tmp_path / "half", "rosella", dtype="bfloat16")
    before, after = load_file(home / WEIGHTS), load_file(tmp_path / "half" / WEIGHTS)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value.astype(ml_dtypes.bfloat16))
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"


def test_transformers_folders_are_completed(home, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(conversion.huggingface, "complete", lambda *given: calls.append(given))
    convert(home, tmp_path / "there", "transformers", trained_text_length=32, codec="my/codec")
    ((directory, config, *codec),) = calls
    assert directory.parent == tmp_path and config == ATTEND and codec == ["my/codec", True]
    assert load_model(tmp_path / "there")[1] == ATTEND


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_left(home, tmp_path, to):
    tensors = load_file(home / WEIGHTS)
    for name in ("model.encoder.norm.weight", "model.decoder.norm.weight"):
        tensors[name][3] = np.nan
    save_file(tensors, home / WEIGHTS)
    with pytest.raises(
        UserError, match=r"\(decoder.norm.*, encoder.norm|\(model.decoder.norm.*, model.encoder"
    ):
        convert(home, tmp_path / "made" / "for" / "out", to)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_what_float16_cannot_hold_is_refused(home, tmp_path):
    tensors = load_file(home / WEIGHTS)
    tensors["model.encoder.norm.weight"][3] = 1e6
    save_file(tensors, home / WEIGHTS)
    with pytest.raises(UserError, match="as float16.*wider --dtype"):
        convert(home, tmp_path / "out", "rosella", dtype="float16")


def test_nothing_is_overwritten(home, tmp_path):
    before = (home / WEIGHTS).read_bytes()
    for destination in (home, home / WEIGHTS):
        with pytest.raises(UserError, match="exists already"):
            convert(home, destination, "nari")
    assert (home / WEIGHTS).read_bytes() == before
    (tmp_path / "empty").mkdir()
    convert(home, tmp_path / "empty", "nari")
    assert open_home(tmp_path / "empty").kind == "nari"


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_only_a_few_tensors_are_in_memory_at_once(tmp_path, to):
    decoder = replace(CONFIG.decoder, hidden_size=256, num_hidden_layers=12, intermediate_size=512)
    large = replace(CONFIG, decoder=decoder)
    save_model(tmp_path / "home", model(large), large)
    tracemalloc.start()
    convert(tmp_path / "home", tmp_path / "out", to)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * (tmp_path / "home" / WEIGHTS).stat().st_size


@pytest.mark.parametrize("to", ["nari", "reference", "transformers"])
def test_a_card_goes_with_its_model(home, tmp_path, to):
    (home / "README.md").write_text(
        "---\nlicense: cc0-1.0\n---\n# Frisian\n\n| 3.00 | CC0-1.0 | all agreed |\n"
    )
    convert(home, tmp_path / "new", to, with_codec=False)
    card = (tmp_path / "new" / "README.md").read_text()
    assert "license: cc0-1.0" in card and "| 3.00 | CC0-1.0 | all agreed |" in card
    assert f"From rosella to {to} by Rosella" in card
    assert open_home(tmp_path / "new").kind == to
