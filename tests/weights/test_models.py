from __future__ import annotations

import json
import re
import shutil

import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from rosella.errors import UserError
from rosella.weights import load_model, save_model
from rosella.weights.names import Kind, places
from rosella.weights.tensors import INDEX, WEIGHTS
from support import ROOT
from tiny_dia import CONFIG, model


def weights(dia):
    return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(dia, nnx.Param))}


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


@pytest.mark.parametrize("named", Kind)
def test_the_table_names_every_parameter_once(named):
    """Whole, or in all its parts."""
    found = [(place.path, place.index) for place in places(named, CONFIG).values()]
    assert len(set(found)) == len(found)
    for path, value in weights(model()).items():
        numbers = [number for name, number in found if name == path]
        assert numbers in ([None], list(range(len(value)))), path


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_files_become_float32(saved, dtype):
    tensors = load_file(saved / WEIGHTS)
    save_file({name: value.astype(dtype) for name, value in tensors.items()}, saved / WEIGHTS)
    loaded, _ = load_model(saved)
    for path, value in weights(model()).items():
        assert weights(loaded)[path].dtype == np.float32
        np.testing.assert_array_equal(weights(loaded)[path], value.astype(dtype).astype(np.float32))


def test_shards_are_read_through_their_index(saved):
    tensors = load_file(saved / WEIGHTS)
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, saved / file)
    (saved / WEIGHTS).unlink()
    index = {"weight_map": {name: file for file, members in parts.items() for name in members}}
    (saved / INDEX).write_text(json.dumps(index))
    loaded = weights(load_model(saved)[0])
    for path, value in weights(model()).items():
        np.testing.assert_array_equal(loaded[path], value)
    (saved / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="lacks model-00002-of-00002"):
        load_model(saved)


def test_missing_unexpected_and_misshaped_tensors_are_all_named(saved):
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


def test_directories_that_are_no_model_are_refused(saved, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no model"):
        load_model(tmp_path / "absent")
    (saved / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(UserError, match="not 'dia'"):
        load_model(saved)
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        load_model(saved)
    (saved / WEIGHTS).unlink()
    with pytest.raises(UserError, match="lacks model.safetensors"):
        load_model(saved)
    shutil.rmtree(saved)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="could not be fetched"):
        load_model("someone/something")


def test_a_failed_write_leaves_the_old_model(saved, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
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
