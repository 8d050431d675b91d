"""The directory of a run: its lock, recipe, metrics and log. It holds no absolute path, so it can be moved."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from rosella.config import Part, check_same_run, load_recipe_of, save_recipe
from rosella.errors import UserError
from rosella.stopping import heeding

RECORDINGS_FILE = "recordings.json"
"""In a run's directory: the ids of the recordings it is trained on, for when one must be removed."""


class Run:
    """What a run writes; open it with `locked`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, newest first."""
        raise NotImplementedError

    @classmethod
    @contextmanager
    def locked(cls, path: str | Path) -> Iterator[Self]:
        """Create the directory if need be and keep every other run out of it; the first of several processes does."""
        run = cls(path)
        if os.environ.get("RANK", "0") != "0":
            yield run
            return
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            lock = (run.path / ".lock").open("w")
        except OSError as error:
            raise UserError(f"Cannot write the run directory {path}: {error.strerror}.") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"Another process is training in {path}: wait for it, or choose another directory with --run."
                ) from None
            yield run

    def begin(self, recipe: Part) -> None:
        """Refuse a recipe that contradicts the checkpoints already here, then save it."""
        self.check(recipe)
        save_recipe(recipe, self.recipe)

    def remember(self, recordings: Iterable[str]) -> None:
        """Note whose recordings the run is trained on."""
        temporary = self.path / f"{RECORDINGS_FILE}.tmp"
        temporary.write_text(json.dumps(sorted(recordings)), "utf-8")
        os.replace(temporary, self.path / RECORDINGS_FILE)

    def check(self, recipe: Part) -> None:
        if self.recipe.exists() and self.steps():
            check_same_run(recipe, load_recipe_of(type(recipe), self.recipe), self.path)

    def finished(self, steps: int) -> bool:
        """True when the last of `steps` and its model are here."""
        saved = self.steps()
        return bool(saved) and saved[0] >= steps and (self.model / "config.json").exists()

    def record(self, values: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def log(self, sentence: str) -> None:
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")

    def forget_after(self, step: int) -> None:
        """Drop the metrics of steps that will be trained again, and a line cut off by a crash."""
        kept = [json.dumps(values) + "\n" for values in read_metrics(self.metrics) if values["step"] <= step]
        temporary = self.metrics.with_suffix(".tmp")
        temporary.write_text("".join(kept), "utf-8")
        os.replace(temporary, self.metrics)


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`, without a last line cut off by a crash; [] when there is none."""
    if not Path(path).exists():
        return []
    records = []
    for line in Path(path).read_text("utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that the signals of `stopping` set; a second SIGINT interrupts at once."""
    stop = threading.Event()

    def ask(number: int) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with heeding(ask):
        yield stop
