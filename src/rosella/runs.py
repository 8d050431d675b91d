"""The directory of a run: its lock, recipe, metrics and log. It holds no absolute path, so it can be moved."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TextIO

from rosella.errors import RosellaError, UserError
from rosella.files import missing, remove_empty, replacing_directory, write_json, write_text
from rosella.recipes import RunRecipe, check_same_run, load_recipe, save_recipe
from rosella.stopping import heeding

RECORDINGS_FILE = "recordings.json"
"""In a run's directory: the ids of the recordings it is trained on, for when one must be removed."""


MODEL_FILE = "model.json"
"""Beside `model/`: the step it is of, since a run may be continued for more steps."""


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

    def writes(self) -> bool:
        """Whether this process is the first of those that share the run: it alone locks and writes."""
        return os.environ.get("RANK", "0") == "0"

    @classmethod
    @contextmanager
    def locked(cls, path: str | Path) -> Generator[Self]:
        """Create the directory if need be and keep every other run out of it; the first of several processes does."""
        run = cls(path)
        if not run.writes():
            yield run
            return
        made = missing(run.path)
        with _lock(run.path) as lock:
            try:
                yield run
            finally:
                _leave_nothing(Path(lock.name), made)

    def begin(self, recipe: RunRecipe) -> None:
        """Refuse a recipe that contradicts the checkpoints already here, then save it."""
        self.check(recipe)
        save_recipe(recipe, self.recipe)

    def remember(self, recordings: Iterable[str]) -> None:
        """Note whose recordings the run is trained on."""
        write_json(self.path / RECORDINGS_FILE, sorted(recordings), indent=None)

    def check(self, recipe: RunRecipe) -> None:
        if self.recipe.exists() and self.steps():
            check_same_run(recipe, load_recipe(type(recipe), self.recipe), self.path)

    def finished(self, steps: int) -> bool:
        """True when the last of `steps` and its model are here."""
        saved = self.steps()
        return bool(saved) and saved[0] >= steps and saved[0] == self._model_step()

    @contextmanager
    def new_model(self, step: int) -> Generator[Path]:
        """A directory that becomes `model/`, the model after `step`, when the block succeeds."""
        with replacing_directory(self.model) as temporary:
            yield temporary
        write_json(self.path / MODEL_FILE, {"step": step}, indent=None)

    def _model_step(self) -> int | None:
        """The step whose model is in `model/`; None when there is none."""
        if not (self.path / MODEL_FILE).exists() or not (self.model / "config.json").exists():
            return None
        return json.loads((self.path / MODEL_FILE).read_text())["step"]

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
        write_text(self.metrics, "".join(kept))


def newest_intact(
    checkpoints: Sequence[Path], damage: Callable[[Path], str | None], note: Callable[[str], None]
) -> Path | None:
    """The first of `checkpoints`, newest first, that `damage` finds nothing wrong with; None when there are none at all.

    Those before it are noted. RosellaError when none is left.
    """
    for checkpoint in checkpoints:
        wrong = damage(checkpoint)
        if wrong is None:
            return checkpoint
        note(f"Checkpoint {checkpoint} is damaged ({wrong}) and left out.")
    if checkpoints:
        raise RosellaError(
            f"No checkpoint in {checkpoints[0].parent} is intact: restore one from a backup, "
            "or move the run directory away to start again."
        )
    return None


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


def _lock(directory: Path) -> TextIO:
    """The open lock of a directory, which is made if need be."""
    while True:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = (directory / ".lock").open("w")
        except OSError as error:
            raise UserError(f"Cannot write the run directory {directory}: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another process is training in {directory}: wait for it, or choose another directory with --run."
            ) from None
        with suppress(FileNotFoundError):  # whoever held it may have removed it in between
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name)):
                return lock
        lock.close()


def _leave_nothing(lock: Path, made: Sequence[Path]) -> None:
    """Remove a directory that holds nothing but its lock, and those above it that were made for it."""
    with suppress(OSError):
        if list(lock.parent.iterdir()) == [lock]:
            lock.unlink()
            remove_empty(made)


@contextmanager
def stop_signals() -> Generator[threading.Event]:
    """An event that the signals of `stopping` set; a second SIGINT interrupts at once."""
    stop = threading.Event()

    def ask(number: int) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with heeding(ask):
        yield stop
