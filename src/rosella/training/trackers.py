"""Who else hears what a run measures and says: TensorBoard, Weights & Biases, a page.

A tracker never ends a training: where it fails, that is noted once and the run goes on without it. `metrics.jsonl` and the
terminal hear the same lines before all trackers, and are no trackers themselves: a run that cannot write its metrics ends.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Self

from rosella.errors import UserError
from rosella.files import write_json
from rosella.measures import by_name
from rosella.progress import Report
from rosella.runs import read_metrics
from rosella.training.recipe import Recipe
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip


class Tracker:
    """What a tracker may hear; this one does nothing with it."""

    rewinds = False
    """Whether it forgets what came after the step that a run is continued from, and so is told it again."""

    def start(self, run: TrainingRun, recipe: Recipe, step: int) -> None:
        """A run begins, or goes on after `step`."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step, by the names of `measures.by_name`."""

    def audio(self, step: int, clip: Clip) -> None:
        """What the model said at a step."""

    def finish(self) -> None:
        """The run ends, or stops until somebody continues it."""


class TensorBoard(Tracker):
    """Event files in the run directory's `tensorboard/`."""

    rewinds = True

    def start(self, run: TrainingRun, recipe: Recipe, step: int) -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(
            str(run.path / "tensorboard"), purge_step=step + 1, flush_secs=20, filename_suffix=f".{step}"
        )

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def audio(self, step: int, clip: Clip) -> None:
        sound = clip.waveform.clip(-1, 1)[:, None]  # or the writer prints a warning
        self.writer.add_audio(f"samples/{clip.name}", sound, step, clip.sample_rate)
        self.writer.add_text(f"samples/{clip.name}", clip.caption, step)

    def finish(self) -> None:
        self.writer.close()


class WeightsAndBiases(Tracker):
    """A run at Weights & Biases, or under `wandb/` in the run directory with WANDB_MODE=offline.

    Its id is kept in `wandb.json`, so that a continued run goes on where it was.
    """

    def start(self, run: TrainingRun, recipe: Recipe, step: int) -> None:
        import wandb

        kept = run.path / "wandb.json"
        name = json.loads(kept.read_text())["id"] if kept.exists() else uuid.uuid4().hex[:8]
        self.run = wandb.init(
            id=name,
            resume="allow",
            dir=str(run.path),
            name=run.path.name,
            config=recipe.model_dump(),
            settings=wandb.Settings(console="off", silent=True),
        )
        self.run.define_metric("*", step_metric="step")
        write_json(kept, {"id": name}, indent=None)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({**values, "step": step})

    def audio(self, step: int, clip: Clip) -> None:
        import wandb

        sound = wandb.Audio(clip.waveform, sample_rate=clip.sample_rate, caption=clip.caption)
        self.run.log({f"samples/{clip.name}": sound, "step": step})

    def finish(self) -> None:
        self.run.finish()


_NAMED: dict[str, tuple[type[Tracker], str]] = {
    "tensorboard": (TensorBoard, "tensorboardX"),
    "wandb": (WeightsAndBiases, "wandb"),
}


def named(names: Sequence[str]) -> list[Tracker]:
    """The trackers that a recipe names; a UserError for one whose package is not installed."""
    for name in names:
        package = _NAMED[name][1]
        if find_spec(package) is None:
            raise UserError(
                f"The recipe's trackers name {name}, but {package} is not installed: "
                f"install it (pip install {package}), or leave {name} out of trackers."
            )
    return [_NAMED[name][0]() for name in dict.fromkeys(names)]


class Trackers:
    """All that hear a run: its report first, which may end it, then the trackers, which may not."""

    def __init__(self, run: TrainingRun, recipe: Recipe, report: Report, trackers: Iterable[Tracker]) -> None:
        self.run, self.recipe, self.report = run, recipe, report
        self.trackers, self.waiting = list[Tracker](), list(trackers)
        self.step = 0
        self.told: dict[str, int] = {}
        for record in read_metrics(run.metrics):  # before the run is wound back to its checkpoint
            self.told[record["split"]] = max(record["step"], self.told.get(record["split"], -1))

    def start(self, step: int) -> None:
        self.trackers, self.waiting, self.step = self.waiting, [], step
        self._each(lambda tracker: tracker.start(self.run, self.recipe, step), step)

    def __call__(self, values: dict[str, Any]) -> None:
        """A line of `metrics.jsonl` or a note, as a `Report` hears it."""
        self.report(values)
        if "split" in values:
            step, numbers = values["step"], by_name(values)
            self._each(lambda tracker: tracker.metrics(step, numbers), step, values["split"])

    def audio(self, step: int, clip: Clip) -> None:
        self._each(lambda tracker: tracker.audio(step, clip), step, "listening")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._each(lambda tracker: tracker.finish(), self.step)

    def _each(self, tell: Callable[[Tracker], None], step: int, split: str = "") -> None:
        """Tell those that do not know it yet."""
        told = step <= self.told.get(split, -1)
        for tracker in list(self.trackers):
            if told and not (tracker.rewinds and step > self.step):
                continue
            try:
                tell(tracker)
            except Exception as error:
                self.trackers.remove(tracker)
                what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
                sentence = (
                    f"The tracker {type(tracker).__name__} failed and is left out from here on ({what})."
                )
                self.run.log(sentence)
                self.report({"note": sentence})
