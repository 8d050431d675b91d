from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rosella.training.goodput import Goodput
from rosella.training.hooks import Best, Job, Speak
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip, Spoken
from rosella.training.trackers import Trackers
from training import tiny

CLIP = Clip("0", "a", np.zeros(160, np.float32), 16_000, True)


@pytest.fixture
def job(tmp_path):
    run, recipe = TrainingRun(tmp_path), tiny.recipe("x", samples={"every": 2, "texts": ["a"]})
    told = Trackers(run, recipe, lambda values: None, [])
    skeleton, state = SimpleNamespace(join=lambda params: None), SimpleNamespace(params={})
    return Job(recipe, tiny.config(), skeleton, run, told, state, 0, SimpleNamespace(), "", Goodput())  # type: ignore[arg-type]


def test_the_best_step_is_found_and_found_again(job):
    best, seen = Best("listening/wer", job), []
    for step, value in enumerate([0.9, 0.2, 0.4, 0.2, None], 1):
        job.step = step
        if value is not None:
            job.record({"split": "listening", "step": step, "wer": value})
        best(job, {}, False)
        seen.append(job.best)
    assert seen == [1, 2, 2, 2, 2], "less is better, and an equal value is not better"
    for step in (1, 4):
        (job.run.checkpoints / f"{step:08d}").mkdir(parents=True)
    job.best = None
    Best("listening/wer", job)
    assert job.best == 4, "of the steps that have a checkpoint"


def test_the_model_speaks_every_so_often_and_a_failure_is_noted(job):
    said = []
    speak = Speak(
        lambda model, config: said.append(1) or Spoken([CLIP], {"wer": None}),
        SimpleNamespace(flush=said.append),
    )
    for job.step in (1, 2, 3):
        speak(job, {}, False)
    assert said == [job, 1] and (job.run.samples / "00000002-0.wav").is_file()

    def fails(model, config):
        raise ValueError("no memory")

    job.step = 4
    Speak(fails, SimpleNamespace(flush=said.append))(job, {}, False)
    assert "There are no samples of step 4: ValueError: no memory" in (job.run.path / "log.txt").read_text()
