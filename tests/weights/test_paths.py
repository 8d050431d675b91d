from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from foreign_homes import weights, write_pickle
from rosella.errors import UserError
from rosella.weights import load_model, save_model
from rosella.weights.tensors import INDEX, WEIGHTS
from tiny_dia import CONFIG, model


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "dia", model(), CONFIG)
    return tmp_path / "dia"


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


def test_an_ambiguous_directory_is_refused(tmp_path):
    pickled = write_pickle(tmp_path)
    (pickled.parent / "other.pth").write_bytes(pickled.read_bytes())
    with pytest.raises(UserError, match=r"holds dia.pth, other.pth; give the file"):
        load_model(pickled.parent)
