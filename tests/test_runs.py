from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from rosella import runs
from rosella.errors import RosellaError, UserError
from rosella.runs import Run, newest_intact
from rosella.training.recipe import Recipe


class Saved(Run):
    def steps(self):
        return sorted((int(path.name) for path in self.checkpoints.glob("*")), reverse=True)


def test_a_run_that_is_refused_leaves_nothing(tmp_path):
    with pytest.raises(UserError), Run.locked(tmp_path / "runs" / "one"):
        raise UserError("No.")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with Run.locked(tmp_path / "mine"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
    with Run.locked(tmp_path / "runs" / "two") as run:
        run.log("Begun.")
    assert run.path.is_dir()


def test_a_lock_that_its_holder_removed_is_taken_anew(tmp_path, monkeypatch):
    """Opened before, and locked after, another run left its directory as it found it."""
    lock, tries = fcntl.flock, []

    def late(file, how):
        tries.append(file.name)
        if len(tries) == 1:
            (tmp_path / "run" / ".lock").unlink()
            (tmp_path / "run").rmdir()
        lock(file, how)

    monkeypatch.setattr(runs.fcntl, "flock", late)
    with Run.locked(tmp_path / "run") as run:
        assert (run.path / ".lock").exists() and len(tries) == 2
        with pytest.raises(UserError, match="Another process is training"), Run.locked(run.path):
            pass


def test_a_model_of_fewer_steps_is_not_taken_for_the_last(tmp_path):
    run = Saved(tmp_path)
    for step in (2, 4):
        (run.checkpoints / str(step)).mkdir(parents=True)
        assert not run.finished(step)
        with run.new_model(step) as directory:
            directory.mkdir()
            (directory / "config.json").write_text(json.dumps(step))
        assert run.finished(step)
    assert json.loads((run.model / "config.json").read_text()) == 4


def test_a_model_that_is_not_whole_is_none(tmp_path):
    run = Saved(tmp_path)
    (run.checkpoints / "2").mkdir(parents=True)

    def break_off(directory):
        directory.mkdir()
        (directory / "config.json").write_text("{}")
        raise OSError("full")

    with pytest.raises(OSError, match="full"), run.new_model(2) as directory:
        break_off(directory)
    assert not run.finished(2) and not run.model.exists()


def test_a_recipe_that_is_cut_off_leaves_the_one_before(tmp_path, monkeypatch):
    recipe = Recipe.model_validate({"data": {"export": "x", "batch_size": 1}, "steps": 1})
    run = Saved(tmp_path)
    run.begin(recipe)
    (run.checkpoints / "1").mkdir(parents=True)

    def cut_off(path, *_):
        path.open("w").close()
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", cut_off)
        with pytest.raises(OSError, match="full"):
            run.begin(recipe)
    run.begin(recipe)


def test_damaged_checkpoints_are_named_and_nothing_is_promised_of_others(tmp_path):
    notes = []
    damage = {"3": "torn", "2": "torn", "1": None}

    def wrong(path):
        return damage[path.name]

    three = [tmp_path / name for name in damage]
    assert newest_intact(three, wrong, notes.append) == tmp_path / "1"
    assert notes == [f"Checkpoint {tmp_path / name} is damaged (torn) and left out." for name in ("3", "2")]
    with pytest.raises(RosellaError, match="No checkpoint in .* is intact"):
        newest_intact(three[:1], wrong, notes.append)
    assert newest_intact([], wrong, notes.append) is None
