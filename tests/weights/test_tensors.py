from __future__ import annotations

import os
import pickle

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from foreign_homes import weights
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.weights import load_model, save_model
from rosella.weights.tensors import WEIGHTS
from tiny_dia import CONFIG, model


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "dia", model(), CONFIG)
    return tmp_path / "dia"


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_files_become_float32(saved, dtype):
    tensors = load_file(saved / WEIGHTS)
    save_file({name: value.astype(dtype) for name, value in tensors.items()}, saved / WEIGHTS)
    loaded, _ = load_model(saved)
    for path, value in weights(model()).items():
        assert weights(loaded)[path].dtype == np.float32
        np.testing.assert_array_equal(weights(loaded)[path], value.astype(dtype).astype(np.float32))


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_runs_a_program_is_refused(tmp_path, save):
    marker, path = tmp_path / "executed", tmp_path / "dia.pth"
    save({"encoder.norm.weight": Malicious(marker)}, path)
    with pytest.raises(UserError, match="is refused; ask its author|ask its author for safetensors"):
        convert(path, tmp_path / "out", "rosella")
    assert not marker.exists() and not (tmp_path / "out").exists()


def test_pickles_of_something_else_are_refused(tmp_path):
    torch.save({"model": {"encoder.norm.weight": torch.ones(3)}}, tmp_path / "nested.pth")
    with pytest.raises(UserError, match="state_dict"):
        load_model(tmp_path / "nested.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match="not a state dictionary"):
        load_model(tmp_path / "text.pth")
