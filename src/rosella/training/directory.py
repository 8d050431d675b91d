"""The run directory: its lock, recipe, metrics and log. It holds no absolute path, so it can be moved."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosella.config import Recipe, check_same_run, load_recipe, save_recipe
from rosella.errors import UserError
from rosella.training import state as checkpoints


class RunDirectory:
    """What a run writes; open it with `locked`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.model = self.path / "model"

    @classmethod
    @contextmanager
    def locked(cls, path: str | Path) -> Iterator[RunDirectory]:
        """Create the directory if need be and keep every other process out of it."""
        run = cls(path)
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
                    f"Another process is training in {path}: wait for it, "
                    "or choose another directory with --run."
                ) from None
            yield run

    def begin(self, recipe: Recipe) -> None:
        """Refuse a recipe that contradicts the checkpoints already here, then save it."""
        self.check(recipe)
        save_recipe(recipe, self.recipe)

    def check(self, recipe: Recipe) -> None:
        if self.recipe.exists() and checkpoints.steps(self.checkpoints):
            check_same_run(recipe, load_recipe(self.recipe), self.path)

    def finished(self, recipe: Recipe) -> bool:
        """True when the run's last step and its model are here."""
        saved = checkpoints.steps(self.checkpoints)
        return bool(saved) and saved[0] >= recipe.steps and (self.model / "config.json").exists()

    def record(self, values: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop the metrics of steps that will be trained again, and a line cut off by a crash."""
        lines = read_metrics(self.metrics)
        temporary = self.metrics.with_suffix(".tmp")
        temporary.write_text(
            "".join(json.dumps(v) + "\n" for v in lines if v["step"] <= step), encoding="utf-8"
        )
        os.replace(temporary, self.metrics)

    def log(self, sentence: str) -> None:
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")


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
