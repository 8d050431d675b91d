"""A disk that is full at any write of a recogniser's training: one error, and an exact resume."""

from __future__ import annotations

import pytest

from asr.test_train import assert_same, run_in, weights
from rosella.asr.run import AsrRun
from rosella.errors import explain
from rosella.runs import Run
from support import fill


@pytest.fixture(scope="module")
def undisturbed():
    return {}


WRITES = [
    (Run, "begin", 0),
    (Run, "forget_after", 0),
    (Run, "record", 0),
    (AsrRun, "save", 0),
    (AsrRun, "save", 65536),
    (Run, "new_model", 0),
    (Run, "new_model", 65536),
]


@pytest.mark.parametrize(("home", "name", "leave"), WRITES)
def test_wherever_the_disk_fills_up_the_run_goes_on(
    small_disk, recipe, undisturbed, tmp_path, home, name, leave, monkeypatch, capfd
):
    short, write = recipe.model_copy(update={"steps": 3}), getattr(home, name)
    if not undisturbed:
        run_in(tmp_path, short)
        undisturbed.update(weights(tmp_path))

    def full(*arguments, **settings):
        fill(small_disk, leave)
        return write(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(home, name, full)
        with pytest.raises(Exception) as error:
            run_in(small_disk / "run", short)
    sentence, code = explain(error.value)
    assert sentence.startswith("The disk is full:") and code == 1
    assert "Traceback" not in capfd.readouterr().err
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "filler").unlink()
    with AsrRun.locked(small_disk / "run") as run:
        assert not run.finished(short.steps)
    run_in(small_disk / "run", short)
    assert_same(weights(small_disk / "run"), undisturbed)
