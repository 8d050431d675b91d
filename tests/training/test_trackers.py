from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rosella.errors import UserError
from rosella.training import trackers
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip
from rosella.training.trackers import TensorBoard, Tracker, Trackers, WeightsAndBiases, named
from training import tiny

CLIP = Clip("0", "[S1] hallo", np.zeros(1600, np.float32), 16_000, True, "hallo")


class Heard(Tracker):
    def __init__(self, rewinds=False, fails=False) -> None:
        self.rewinds, self.fails, self.heard = rewinds, fails, []

    def start(self, run, recipe, step):
        self.heard.append(("start", step))

    def metrics(self, step, values):
        if self.fails:
            raise ConnectionError("no network\nand more")
        self.heard.append((step, dict(values)))

    def audio(self, step, clip):
        self.heard.append((step, clip.name))

    def finish(self):
        self.heard.append("finish")


def told(directory, *listening, report=lambda values: None):
    run = TrainingRun(directory)
    return Trackers(run, tiny.recipe("corpus"), report, listening)


def line(step, split="train", **values):
    return {"split": split, "step": step, "loss": 1.0 / step, **values}


def test_every_tracker_hears_the_same_names(tmp_path):
    one, other, reported = Heard(), Heard(), []
    with told(tmp_path, one, other, report=reported.append) as hear:
        hear({"note": "before the start"})
        hear.start(0)
        hear(line(1, codebook_losses=[1.0, 2.0], mfu=None))
        hear.audio(1, CLIP)
    values = {"train/loss": 1.0, "train/codebook_losses/1": 1.0, "train/codebook_losses/2": 2.0}
    assert one.heard == other.heard == [("start", 0), (1, values), (1, "0"), "finish"]
    assert [values.get("note") for values in reported] == ["before the start", None]


def test_a_tracker_that_fails_is_noted_once_and_the_others_go_on(tmp_path):
    good, bad, reported = Heard(), Heard(fails=True), []
    with told(tmp_path, bad, good, report=reported.append) as hear:
        hear.start(0)
        for step in (1, 2):
            hear(line(step))
    sentence = "The tracker Heard failed and is left out from here on (ConnectionError: no network)."
    assert [values["note"] for values in reported if "note" in values] == [sentence]
    assert sentence in (tmp_path / "log.txt").read_text()
    assert len(good.heard) == 4 and bad.heard == [("start", 0)]


def test_what_was_told_before_a_crash_is_not_told_again(tmp_path):
    run = TrainingRun(tmp_path)
    for step in (1, 2, 3):
        run.record(line(step))
    once, again = Heard(), Heard(rewinds=True)
    hear = told(tmp_path, once, again)
    run.forget_after(1)
    hear.start(1)
    for step in (2, 3, 4):
        hear(line(step))
    hear(line(1))
    hear(line(2, "validation"))
    assert [step for step, _ in once.heard[1:]] == [4, 2], "the last is of another split"
    assert [step for step, _ in again.heard[1:]] == [2, 3, 4, 2]


def test_a_package_that_is_missing_is_said_before_any_work(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"trackers name wandb, but wandb is not installed: install it"):
        named(["wandb"])
    assert named([]) == []


def test_tensorboard_shows_numbers_and_sounds_once(tmp_path):
    pytest.importorskip("tensorboardX")
    recipe, run = tiny.recipe("corpus"), TrainingRun(tmp_path)
    for after, steps in ((0, (1, 2, 3)), (1, (2, 3))):
        board = TensorBoard()
        board.start(run, recipe, after)
        for step in steps:
            board.metrics(step, {"train/loss": 1.0 / step})
        board.audio(3, CLIP)
        board.finish()
    numbers, starts = events(tmp_path / "tensorboard")
    assert starts == [1, 2], "what follows the step that was restored is taken back"
    assert numbers["train/loss"] == 5 and numbers["samples/0"] == 2


def events(directory: Path):
    """How many values each tag has, and from which steps on the files take earlier ones back."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = [Event.FromString(record) for path in sorted(directory.iterdir()) for record in records(path)]
    starts = [event.step for event in found if event.session_log.status == SessionLog.START]
    return Counter(value.tag for event in found for value in event.summary.value), starts


def records(path: Path):
    """A TFRecord: a length, its checksum, the data, its checksum."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        yield content[at + 12 : at + 12 + length]
        at += 16 + length


def test_weights_and_biases_goes_on_with_the_same_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    recipe, run = tiny.recipe("corpus"), TrainingRun(tmp_path)
    for after in (0, 2):
        tracker = WeightsAndBiases()
        tracker.start(run, recipe, after)
        tracker.metrics(after + 1, {"train/loss": 1.0})
        tracker.audio(after + 1, CLIP)
        tracker.finish()
    name = json.loads((tmp_path / "wandb.json").read_text())["id"]
    kept = Counter(path.name.rsplit("-", 1)[1] for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert kept == {name: 2}
    assert len(list((tmp_path / "wandb").rglob("*.wav"))) == 2
