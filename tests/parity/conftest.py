from __future__ import annotations

import shutil

import pytest

from parity.learnt import CONFIG, FRAMES, learn, quiet
from rosella.convert import huggingface
from rosella.parity.rosella_trace import trace_model
from rosella.parity.trace import make_inputs
from rosella.weights import save_model


@pytest.fixture(scope="session")
def inputs():
    return make_inputs(CONFIG, FRAMES)


@pytest.fixture(scope="session")
def model(inputs):
    return learn(inputs)


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    save_model(folder, model, CONFIG)
    huggingface.complete(folder, CONFIG)
    return folder


@pytest.fixture(scope="session")
def ours(model, inputs):
    return trace_model(model, inputs, "float32", quiet)


@pytest.fixture
def spoilt(exported, tmp_path):
    """A copy of the export to spoil."""
    return shutil.copytree(exported, tmp_path / "spoilt")
