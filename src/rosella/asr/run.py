"""The run directory of a recogniser's training: lock, recipe, metrics, log and checkpoints. It can be moved.

A checkpoint holds what is trained and the state of AdamW, as float32, in `checkpoints/<step>-<content>.safetensors`;
the hash of its content in its name tells a damaged one from a good one.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from rosella.asr.recipe import AsrRecipe
from rosella.config import check_same_run, load_recipe_of, save_recipe
from rosella.corpus.durable import atomic
from rosella.errors import UserError
from rosella.records import content_id

Note = Callable[[str], None]


class AsrRun:
    """What a run writes; open it with `locked`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    @classmethod
    @contextmanager
    def locked(cls, path: str | Path) -> Iterator[AsrRun]:
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

    def begin(self, recipe: AsrRecipe) -> None:
        """Refuse a recipe that contradicts the checkpoints already here, then save it."""
        self.check(recipe)
        save_recipe(recipe, self.recipe)

    def check(self, recipe: AsrRecipe) -> None:
        if self.recipe.exists() and self._saved():
            check_same_run(recipe, load_recipe_of(AsrRecipe, self.recipe), self.path)

    def finished(self, recipe: AsrRecipe) -> bool:
        """True when the run's last step and its model are here."""
        saved = self._saved()
        return bool(saved) and _step(saved[0]) >= recipe.steps and (self.model / "config.json").exists()

    def record(self, values: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def log(self, sentence: str) -> None:
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")

    def save(self, step: int, tensors: dict[str, torch.Tensor], data: str, keep: int) -> None:
        """Write a checkpoint, whole or not at all, and drop all but the newest `keep`."""
        with atomic(self.checkpoints / "new.safetensors") as temporary:
            save_file(
                {name: value.contiguous() for name, value in tensors.items()}, temporary, {"data": data}
            )
        new = self.checkpoints / "new.safetensors"
        new.rename(self.checkpoints / f"{step:08d}-{content_id(new)}.safetensors")
        for old in self._saved()[keep:]:
            old.unlink()

    def restore(self, data: str, note: Note) -> tuple[int, dict[str, torch.Tensor]] | None:
        """The newest undamaged checkpoint, as (step, tensors)."""
        for path in self._saved():
            if content_id(path) != path.stem.split("-")[1]:
                note(f"{path.name} is damaged and left out.")
                continue
            with safe_open(path, "pt") as file:
                if (file.metadata() or {}).get("data") != data:
                    raise UserError(
                        f"The examples changed since the run in {self.path} began: "
                        "bring the old ones back, or choose another directory with --run."
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return _step(path), tensors
        return None

    def _saved(self) -> list[Path]:
        return sorted(self.checkpoints.glob("*-*.safetensors"), reverse=True)

    def forget_after(self, step: int) -> None:
        """Drop the metrics of steps that will be trained again, and a line cut off by a crash."""
        if not self.metrics.exists():
            return
        lines = read_metrics(self.metrics)
        with atomic(self.metrics) as temporary:
            kept = (json.dumps(values) + "\n" for values in lines if values["step"] <= step)
            temporary.write_text("".join(kept), "utf-8")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, without a last one cut off by a crash."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _step(path: Path) -> int:
    return int(path.stem.split("-")[0])
