from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evaluate.synthetic_speech import RATE, sentence
from report.wellformed import Wellformed
from rosella.report import run as page
from rosella.report.run import RunPage, draw, facts
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip, Spoken, keep
from training import tiny

NASTY = '<script>alert("x")</script>'


def train_line(step: int, **changes) -> dict:
    return {
        "split": "train",
        "step": step,
        "loss": 4.0 / step**0.2,
        "codebook_losses": [3.0, 4.0],
        "accuracy": 0.1,
        "codebook_accuracies": [0.1, 0.1],
        "lr": 1e-4,
        "grad_norm": 1.0,
        "bad_steps": 0,
        "frames_per_second": 1234.0,
        "mfu": 0.41,
        "data_wait": 0.0,
        "peak_memory": 2.5,
        **changes,
    }


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    directory = TrainingRun(tmp_path / "my-run")
    directory.path.mkdir()
    for step in range(1, 31):
        directory.record(
            train_line(step, **({"loss": None, "codebook_losses": [None, 4.0]} if step == 7 else {}))
        )
    validation = {
        "loss": 3.9,
        "codebook_losses": [3.0, 4.0],
        "accuracy": 0.2,
        "codebook_accuracies": [0.2, 0.2],
    }
    for step in (0, 10, 20, 30):
        directory.record({"split": "validation", "step": step, **validation})
        directory.record(
            {"split": "listening", "step": step, "retrieval": 0.9 if step == 10 else 0.4, "wer": 0.8}
        )
    directory.record(
        {
            "split": "time",
            "step": 30,
            "seconds": 60.0,
            "productive": 45.0,
            "lost": {"save": 7.25},
            "first_step": None,
        }
    )
    clips = [
        Clip("0", NASTY, sentence("aeio"), RATE, True, NASTY),
        Clip("1", "stil", np.zeros(0, np.float32), RATE, False),
    ]
    for step in (10, 20, 30):
        keep(Spoken(clips), directory, step)
    return directory


def test_the_page_tells_how_the_run_goes(run):
    html = draw(facts(run, 100, live=True))
    checked = Wellformed()
    checked.feed(html)
    assert not checked.open and all(address.startswith(("data:", "#")) for address in checked.addresses)
    text = re.sub(r"<[^>]+>", " ", html)
    assert (
        "30 of 100 steps" in text
        and "1,234" in text
        and "41" in text
        and "75" in text
        and "Lost save" in text
    )
    assert '<b class="stop">stop</b>' in html and "It was 90" in text, "worse than its best, twice"
    assert "Said at step 30" in text and "Said at step 20" in text and "Said at step 10" not in text
    assert html.count("<audio") == 2 and "silence" in text and "did not stop" in text
    assert NASTY not in html and "setInterval" in html


def test_a_run_of_blocks_shows_the_next_step_and_the_bound_too(run):
    named = "training, next step", "validation, next step", "validation, bound"
    assert not any(name in draw(facts(run, 100, live=True)) for name in named)
    for split in ("train", "validation"):
        run.record({**train_line(31), "split": split, "ar_loss": 1.7, "elbo_loss": 2.0})
    assert all(name in draw(facts(run, 100, live=True)) for name in named)


def test_a_run_that_is_over_does_not_refresh(run):
    assert "setInterval" not in draw(facts(run, 30, live=False))
    assert "the same command goes on" in draw(facts(run, 100, live=False))


def test_a_run_that_has_not_begun_has_a_page_too(tmp_path):
    html = draw(facts(TrainingRun(tmp_path), 100, live=True))
    assert "still being compiled" in html and "healthy" in html and "<svg" not in html


def test_the_page_is_written_at_the_start_now_and_then_and_at_the_end(run, monkeypatch):
    clock, written, opened = [100.0], [], []
    monkeypatch.setattr(page.time, "monotonic", lambda: clock[0])

    def write(path, content):
        written.append("setInterval" in content)
        clock[0] += 2.0  # what drawing takes

    monkeypatch.setattr(page, "write_text", write)
    tracker = RunPage(opened.append)
    tracker.start(run, tiny.recipe("corpus"), 0)
    assert opened == [run.path / "report.html"] and written == [True]
    for later, expected in ((50, 1), (49, 1), (2, 2)):
        clock[0] += later
        tracker.metrics(1, {})
        assert len(written) == expected, "no more than a fiftieth of the time"
    tracker.finish()
    assert written == [True, True, False]


def test_long_curves_are_thinned_to_means():
    steps, values = page._thinned((list(range(10_000)), [1.0] * 10_000))
    assert len(steps) == page.POINTS and set(values) == {1.0}
