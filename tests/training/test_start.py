from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rosella.errors import UserError
from rosella.training.start import check_export, run_config
from support import ROOT
from training import tiny


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"max_frames": 2}, "max_frames is 2, but the delay pattern alone takes 2"),
        ({"max_frames": 62}, "max_frames 62 needs 65 decoder positions, the model has 64"),
        ({"max_text_bytes": 65}, "max_text_bytes is 65, the model reads at most 64"),
    ],
)
def test_limits_the_model_cannot_hold_are_refused(export, limits, sentence):
    data = {"export": "x", "batch_size": 2, "max_frames": 40, "max_text_bytes": 60, **limits}
    with pytest.raises(UserError, match=sentence):
        check_export(export, tiny.config(), tiny.recipe("x", data=data).data)


def test_codes_of_another_shape_are_refused(export):
    from rosella.model.config import mini

    with pytest.raises(UserError, match="3 codebooks of 16 entries, the model expects 8 of 256"):
        check_export(export, mini(), tiny.recipe(export.directory).data)


def test_what_does_not_fit_is_refused_before_a_device_is_touched(export):
    """JAX is told to use a device that does not exist, so that touching any is an error of another kind."""
    program = """
from rosella.errors import UserError
from rosella.training import TrainingRun, train
from training import tiny
import sys, tempfile
export = sys.argv[1]
data = {"export": export, "batch_size": 4}
changes = [
    {"mesh": {"tensor": 3}},
    {"codec": "nowhere"},
    {},
    {"data": {**data, "export": export + "/no"}},
    {"model": {"weights": "nowhere"}},
    {"model": {"weights": "mini", "keep": {"nothing": 1.0}}},
]
for change in changes:
    try:
        train(tiny.recipe(export, **change), TrainingRun(tempfile.mkdtemp()))
    except UserError as error:
        print(error)
"""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}",
        "JAX_PLATFORMS": "none_such",
    }
    command = [sys.executable, "-c", program, export.directory]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    sentences = (
        "mesh.tensor is 3, which does not divide the 4 heads of",
        "There is no codec directory nowhere",
        "hold codes of codec tiny, not ",
        "/no",
        "There is no model nowhere",
        "The model has no parameter nothing",
    )
    for found, wanted in zip(done.stdout.splitlines(), sentences, strict=True):
        assert wanted in found


def test_a_model_knows_which_blocks_it_learnt():
    assert run_config(tiny.recipe("x", objective="blocks", blocks={"size": 4})).blocks == 4
    assert run_config(tiny.recipe("x")).blocks == 1, "what is trained on without them forgets them"
