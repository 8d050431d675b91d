"""A disk that is full at any write of a training: one error, nothing printed beside it, and an exact resume."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from rosella import audio
from rosella.errors import explain
from rosella.runs import Run
from rosella.training import loop, state
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip, Spoken
from support import fill
from training import tiny
from training.test_loop import timeless

DISK_FULL = "The disk is full: free some space, then run the same command again to resume."
WRITES = [  # what finds the disk full, in which call, and how much room is left then
    (Run, "begin", 1, 0),
    (Run, "remember", 1, 0),
    (Run, "log", 1, 0),
    (Run, "record", 1, 0),
    (Run, "record", 5, 0),
    (state.Saver, "save", 1, 65536),
    (state.Saver, "save", 2, 0),
    (audio, "write", 1, 0),
    (audio, "write", 2, 0),
    (Run, "new_model", 1, 0),
]


def train(path, export):
    """As `rosella train` does, with a sample of noise after every third step, when a checkpoint follows."""

    def sample(model, config):
        noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
        return Spoken([Clip("noise", "[S1] Een.", noise, 16_000, stopped=True)], {"stopped": 1.0})

    recipe = tiny.recipe(export.directory, samples={"texts": ["[S1] Een."], "every": 3})
    with TrainingRun.locked(path) as run:
        loop.fit(recipe, tiny.model(), tiny.config(), export, run, sample=sample)


@pytest.fixture(scope="module")
def undisturbed(export, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed")
    train(path, export)
    return path


def written():
    """Wait for a checkpoint that is being written: of what fails in mid-write Orbax itself says more than a sentence."""
    for thread in threading.enumerate():
        if thread.name == "checkpoint":
            thread.join()


@pytest.mark.parametrize(("home", "name", "nth", "leave"), WRITES)
def test_wherever_the_disk_fills_up_the_run_goes_on(
    small_disk, export, undisturbed, home, name, nth, leave, monkeypatch, capfd, caplog
):
    write, calls = getattr(home, name), []

    def full(*arguments, **settings):
        calls.append(name)
        if len(calls) == nth:
            written()
            fill(small_disk, leave)
        return write(*arguments, **settings)

    run = small_disk / "run"
    with monkeypatch.context() as patch:
        patch.setattr(home, name, full)
        with pytest.raises(Exception) as error:
            train(run, export)
    assert explain(error.value) == (DISK_FULL, 1)
    assert capfd.readouterr().err == ""
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "filler").unlink()
    train(run, export)
    assert timeless(run) == timeless(undisturbed)
    assert (run / "model" / "model.safetensors").read_bytes() == (
        undisturbed / "model" / "model.safetensors"
    ).read_bytes()
