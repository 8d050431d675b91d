from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from rosella.errors import RosellaError, UserError
from rosella.measures import BY_THE_CLOCK
from rosella.runs import read_metrics
from rosella.training import hooks, loop
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip, Spoken
from rosella.training.state import Skeleton, steps
from rosella.training.trackers import Tracker
from rosella.weights import load_model, save_model
from training import tiny

ROOT = Path(__file__).parents[2]


def run(path, export, report=lambda values: None, sample=None, start=None, **changes):
    recipe = tiny.recipe(export.directory, **changes)
    with TrainingRun.locked(path) as directory:
        return loop.fit(recipe, start or tiny.model(), tiny.config(), export, directory, report, sample)


def timeless(path):
    records = read_metrics(path / "metrics.jsonl")
    return [{k: v for k, v in r.items() if k not in BY_THE_CLOCK} for r in records if r["split"] != "time"]


def whole_records(path, split):
    return [record for record in read_metrics(path / "metrics.jsonl") if record["split"] == split]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, export):
    path = tmp_path_factory.mktemp("whole")
    return path, run(path, export)


def assert_same_run(path, outcome, reference):
    expected_path, expected = reference
    assert timeless(path) == timeless(expected_path)
    for name, value in Skeleton.of(outcome.model)[1].items():
        np.testing.assert_array_equal(value, Skeleton.of(expected.model)[1][name], err_msg=name)


def test_a_run_leaves_what_it_promises(uninterrupted):
    path, outcome = uninterrupted
    assert (outcome.step, outcome.trained, outcome.finished) == (8, 8, True)
    records = timeless(path)
    assert [r["step"] for r in records if r["split"] == "train"] == list(range(1, 9))
    assert [r["step"] for r in records if r["split"] == "validation"] == [0, 4, 8]
    assert all(len(r["codebook_losses"]) == len(r["codebook_accuracies"]) == 3 for r in records)
    assert all(0 <= r["accuracy"] <= 1 for r in records)
    assert all(0 <= r["mfu"] < 1 and 0 <= r["data_wait"] <= 1 for r in whole_records(path, "train"))
    assert [r["lr"] for r in records if r["split"] == "train"] == pytest.approx([0.01] * 8)
    assert steps(path / "checkpoints") == [8, 6]
    assert {p.name for p in path.iterdir()} >= {"recipe.yaml", "metrics.jsonl", "checkpoints", "log.txt"}
    assert (path / "README.md").read_text() == (path / "model" / "README.md").read_text()
    validation = [r["loss"] for r in records if r["split"] == "validation"]
    assert validation[-1] < validation[0]


@pytest.mark.parametrize("keep", [0.25, {"decoder.layers": 0.25}])
def test_the_model_keeps_a_share_of_what_it_began_with_and_checkpoints_do_not(tmp_path, export, keep):
    save_model(tmp_path / "parent", tiny.model(), tiny.config())
    parent = {"weights": str(tmp_path / "parent"), "preset": None, "keep": keep}
    outcome = run(tmp_path / "run", export, steps=3, model=parent)
    learnt, began = (Skeleton.of(each)[1] for each in (outcome.model, tiny.model()))
    for name, value in Skeleton.of(load_model(tmp_path / "run/model")[0])[1].items():
        share = 0.25 if keep == 0.25 or name.startswith("decoder.layers.") else 0.0
        expected = (1 - share) * learnt[name] + share * began[name]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    assert run(tmp_path / "run", export, steps=3, model=parent).trained == 0


@pytest.mark.parametrize(
    ("how", "last"), [("after step 5", 3), ("in the first save", 0), ("in the second save", 3)]
)
def test_killed_and_continued_equals_uninterrupted(tmp_path, export, uninterrupted, how, last):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "training.child", export.directory, str(tmp_path), how]
    died = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert steps(tmp_path / "checkpoints") == [last] * bool(last)
    outcome = run(tmp_path, export)
    assert outcome.trained == 8 - last
    assert_same_run(tmp_path, outcome, uninterrupted)


def test_a_run_may_be_stopped_and_continued_at_every_step(tmp_path, export, uninterrupted):
    every = {"every": 1, "keep": 99}
    run(tmp_path / "whole", export, checkpoint=every)
    assert steps(tmp_path / "whole" / "checkpoints") == list(range(8, 0, -1))
    for step in range(1, 8):
        path = tmp_path / str(step)
        shutil.copytree(tmp_path / "whole", path)
        for later in range(step + 1, 9):
            shutil.rmtree(path / "checkpoints" / f"{later:08d}")
        outcome = run(path, export, checkpoint=every)
        assert outcome.trained == 8 - step
        assert_same_run(path, outcome, uninterrupted)


def test_the_next_checkpoint_begins_when_the_last_is_written(tmp_path, export, uninterrupted):
    outcome = run(tmp_path, export, checkpoint={"every": 99, "keep": 99, "continuous": True})
    saved = steps(tmp_path / "checkpoints")
    assert saved[0] == 8 and saved[-1] == 2
    assert_same_run(tmp_path, outcome, uninterrupted)


def test_a_run_says_what_its_time_went_into(tmp_path, export):
    run(tmp_path, export)
    times = [record for record in read_metrics(tmp_path / "metrics.jsonl") if record["split"] == "time"]
    assert [record["step"] for record in times] == [3, 6, 8]
    assert times[-1]["lost"].keys() >= {"start", "compile", "save", "data", "evaluation"}
    assert 0 < times[-1]["first_step"] < times[-1]["seconds"]


def test_a_damaged_newest_checkpoint_costs_only_its_steps(tmp_path, export, uninterrupted):
    run(tmp_path, export)
    largest = max((tmp_path / "checkpoints" / "00000008").rglob("*"), key=lambda p: p.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    notes = []
    outcome = run(tmp_path, export, notes.append)
    assert outcome.trained == 2
    assert any("00000008 is damaged" in values.get("note", "") for values in notes)
    assert_same_run(tmp_path, outcome, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_finishes_the_step_saves_and_continues(tmp_path, export, uninterrupted, number):
    def interrupt(values):
        if values.get("step") == 4 and values["split"] == "train":
            os.kill(os.getpid(), number)

    outcome = run(tmp_path, export, interrupt)
    assert (
        not outcome.finished and 4 <= outcome.step < 8 and steps(tmp_path / "checkpoints")[0] == outcome.step
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same_run(tmp_path, run(tmp_path, export), uninterrupted)


def test_a_finished_run_trains_nothing_more(tmp_path, export):
    run(tmp_path, export, steps=3)
    before = timeless(tmp_path)
    assert run(tmp_path, export, steps=3).trained == 0
    assert timeless(tmp_path) == before


def test_another_recipe_or_other_data_is_refused(tmp_path, export):
    run(tmp_path / "run", export, steps=2)
    with pytest.raises(UserError, match=r"was started with seed=0, not 1"):
        run(tmp_path / "run", export, seed=1, steps=4)
    with pytest.raises(UserError, match=r"was started with model\.preset=mini, not None"):
        run(tmp_path / "run", export, model={"weights": "mini"}, steps=4)
    grown = tiny.write(Path(export.directory).parent / "grown", count=31)
    grown.directory = export.directory
    with pytest.raises(UserError, match="changed since the run"):
        run(tmp_path / "run", grown, steps=4)


def test_a_second_process_is_kept_out(tmp_path, export):
    with TrainingRun.locked(tmp_path):
        with pytest.raises(UserError, match="Another process is training"):
            run(tmp_path, export)


def test_nothing_to_train_on_is_said_with_reasons(tmp_path, export):
    data = {**tiny.recipe(export.directory).data.model_dump(), "max_frames": 5}
    with pytest.raises(UserError, match="can be used: 26 longer than data.max_frames 5"):
        run(tmp_path, export, data=data)
    assert run(tmp_path, export, steps=1).trained == 1, "the refused recipe does not bind the directory"


def test_too_many_bad_steps_end_the_run_in_one_sentence(tmp_path, export, monkeypatch):
    monkeypatch.setattr(hooks, "BAD_STEPS_IN_ROW", 3)
    model = tiny.model()
    model.decoder.norm.scale[...] = jnp.full(24, jnp.nan, jnp.float32)
    notes = []
    with pytest.raises(
        RosellaError, match=r"not finite for 3 steps in a row, up to step 3: lower optimizer\.lr"
    ):
        run(tmp_path, export, notes.append, start=model)
    assert [v["note"] for v in notes if "skipped" in v.get("note", "")] == [
        "Step 1 was skipped, because its loss or gradient is not finite."
    ]
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1])["loss"] is None


def test_samples_are_spoken_every_so_often(tmp_path, export):
    spoken = []
    samples = {"every": 2, "texts": ["[S1] hallo"]}
    run(
        tmp_path,
        export,
        sample=lambda model, config: spoken.append(config) or SPOKEN,
        samples=samples,
        steps=5,
    )
    assert spoken == [tiny.config()] * 2
    assert [record["step"] for record in whole_records(tmp_path, "listening")] == [2, 4]


def test_training_works_outside_the_main_thread(tmp_path, export):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(tmp_path, export, steps=1)))
    thread.start()
    thread.join()
    assert outcomes[0].finished


SPOKEN = Spoken(
    [Clip("0", "hallo", np.zeros(160, np.float32), 16_000, True, "hallo")], {"retrieval": 0.5, "wer": None}
)


def test_what_is_heard_is_a_line_of_the_metrics_and_reaches_the_trackers(tmp_path, export):
    class Heard(Tracker):
        def __init__(self):
            self.heard = []

        def metrics(self, step, values):
            self.heard.append((step, min(values)))

        def audio(self, step, clip):
            self.heard.append((step, clip.name))

        def finish(self):
            self.heard.append("finish")

    tracker = Heard()
    recipe = tiny.recipe(export.directory, samples={"every": 2, "texts": ["hallo"]}, steps=2)
    with TrainingRun.locked(tmp_path) as directory:
        loop.fit(
            recipe,
            tiny.model(),
            tiny.config(),
            export,
            directory,
            sample=lambda model, config: SPOKEN,
            trackers=[tracker],
        )
    assert whole_records(tmp_path, "listening") == [{"split": "listening", "step": 2, "retrieval": 0.5}]
    assert (tmp_path / "samples" / "00000002-0.wav").is_file()
    spoken = [(2, "listening/retrieval"), (2, "0")]
    assert tracker.heard[-4:-2] == spoken and tracker.heard[-1] == "finish"
    assert tracker.heard[0] == (0, "validation/accuracy")


def test_samples_that_fail_end_no_training(tmp_path, export):
    def fails(model, config):
        raise UserError("The text has 90 bytes.")

    notes = []
    assert run(tmp_path, export, notes.append, fails, samples={"every": 2, "texts": ["a"]}, steps=3).finished
    assert [v["note"] for v in notes if "no samples" in v.get("note", "")] == [
        "There are no samples of step 2: UserError: The text has 90 bytes."
    ]


def test_the_best_checkpoint_stays_beside_the_newest_and_survives_a_resume(tmp_path, export):
    said = iter([0.2, 0.9, 0.4, 0.9, 0.5])  # at steps 1 to 4, then again from 5 on
    changes = {"keep_best": "listening/retrieval", "samples": {"every": 1, "texts": ["a"]}}
    changes["checkpoint"] = {"every": 1, "keep": 1}
    sample = lambda model, config: Spoken([], {"retrieval": next(said)})  # noqa: E731
    run(tmp_path, export, sample=sample, steps=4, **changes)
    assert steps(tmp_path / "checkpoints") == [4, 2], "an equal value is not better"
    assert (tmp_path / "best").resolve() == (tmp_path / "checkpoints" / "00000002").resolve()
    run(tmp_path, export, sample=sample, steps=5, **changes)
    assert steps(tmp_path / "checkpoints") == [5, 2]
    assert load_model(tmp_path / "best")[1] == tiny.config()
    moved = tmp_path.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert (moved / "best" / "config.json").is_file(), "a run can be moved"


def test_the_best_is_saved_when_it_is_found(tmp_path, export):
    changes = {"keep_best": "validation/loss", "evaluate": {"every": 2, "batches": 1}}
    run(tmp_path, export, steps=3, checkpoint={"every": 100, "keep": 2}, **changes)
    assert steps(tmp_path / "checkpoints") == [3, 2]


def test_blocks_are_trained_beside_the_next_step_and_a_resume_hides_the_same(tmp_path, export):
    changes = {
        "objective": "blocks",
        "blocks": {"size": 4},
        "steps": 4,
        "evaluate": {"every": 2, "batches": 2},
    }
    whole, outcome = tmp_path / "whole", run(tmp_path / "whole", export, **changes)
    assert outcome.finished
    shutil.copytree(whole, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "00000004")
    assert_same_run(tmp_path / "again", run(tmp_path / "again", export, **changes), (whole, outcome))
    training, validation = (whole_records(whole, split) for split in ("train", "validation"))
    assert all(len(r["ar_codebook_losses"]) == len(r["codebook_losses"]) == 3 for r in training + validation)
    assert all(len(r["elbo_codebook_losses"]) == 3 and "elbo_loss" not in training[0] for r in validation)
    for name in ("loss", "ar_loss", "elbo_loss"):
        assert validation[-1][name] < validation[0][name]
