from __future__ import annotations

import numpy as np
import pytest
import torch

import rosella
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.pytorch import load_model
from rosella.weights import save_model
from support import python
from tiny_dia import CONFIG, model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("model") / "tiny"
    save_model(made, model(), CONFIG)
    return made


def test_precision_is_what_the_weights_are_held_in(folder):
    made, config = load_model(folder, "bfloat16")
    assert made.dtype == torch.bfloat16 and config == CONFIG
    running = made.begin(np.ones((1, 4), np.int32), np.array([4]), 5)
    running.advance()
    assert len(running.so_far().codes[0]) == 5


def test_another_precision_is_refused(folder):
    with pytest.raises(UserError, match="float32 or bfloat16 here, not int8"):
        load_model(folder, "int8")


def test_another_layout_is_refused_with_what_to_do(folder, tmp_path):
    convert(folder, tmp_path / "nari", "nari")
    with pytest.raises(UserError, match="rosella convert MODEL FOLDER --to transformers"):
        load_model(tmp_path / "nari")


def test_weights_that_are_not_whole_are_refused(folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["logits_dense.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UserError, match="do not fit its configuration .*logits_dense"):
        load_model(tmp_path)


def test_another_backend_is_refused():
    with pytest.raises(UserError, match="'onnx' is unknown: choose jax or torch"):
        rosella.load("mini", backend="onnx")  # type: ignore[arg-type]


def test_a_speaker_of_pytorch_imports_no_jax():
    """From the command's own front: a whole script in pieces, a list at once, and in a batch that others may join."""
    done = python(
        "-c",
        "import sys, numpy, rosella; speaker = rosella.load('mini', backend='torch');"
        "pieces = list(speaker.stream('[S1] Ja.', seed=3, max_seconds=1.0));"
        "whole = speaker.speak('[S1] Ja.', seed=3, max_seconds=1.0, tries=1)[0].waveform;"
        "assert len(whole) and numpy.abs(numpy.concatenate(pieces) - whole).max() < 1e-4;"
        "import rosella.serve.run; table = speaker.table(2);"
        "table.join(numpy.ones(5, int), None, 20, 0); table.advance();"
        "speaker.follow(numpy.ones(5, int), numpy.zeros((9, 8), int));"
        "print('jax' in sys.modules)",
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
