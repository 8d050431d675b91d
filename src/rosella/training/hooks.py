"""What happens after every step: measure, evaluate, speak, save."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np

from rosella.errors import RosellaError
from rosella.measures import LEARNT, by_name, measure_of
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.runs import read_metrics
from rosella.training import hosts, samples
from rosella.training import state as checkpoints
from rosella.training.batches import Batch
from rosella.training.goodput import Goodput
from rosella.training.objective import figures
from rosella.training.recipe import Recipe
from rosella.training.run import TrainingRun
from rosella.training.samples import Sample
from rosella.training.speed import Speed
from rosella.training.state import Skeleton, TrainState
from rosella.training.step import Evaluation
from rosella.training.trackers import Trackers

BAD_STEPS_IN_ROW = 25


@dataclass
class Job:
    """A run in progress. `step` counts the steps done, `saving` is whether any process still writes a checkpoint."""

    recipe: Recipe
    config: DiaConfig
    skeleton: Skeleton
    run: TrainingRun
    report: Trackers
    state: TrainState
    step: int
    batches: Any
    data: str
    goodput: Goodput
    saving: bool = False
    latest: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Of each measure by its name, the step it was last recorded at and its value."""
    best: int | None = None
    """The step that is the best so far by the recipe's `keep_best`."""

    def __post_init__(self) -> None:
        self.saver = checkpoints.Saver(self.run.checkpoints)

    def model(self) -> Dia:
        """As it is now; with several processes, which all must ask, in the memory of each."""
        params = self.state.params
        if hosts.several():
            return self.skeleton.join({name: hosts.whole(value) for name, value in params.items()})
        return self.skeleton.join(params)

    def record(self, values: dict[str, Any]) -> None:
        self.run.record(values)
        self.latest |= {name: (values["step"], value) for name, value in by_name(values).items()}
        self.report(values)

    def note(self, sentence: str) -> None:
        self.run.log(sentence)
        self.report({"note": sentence})


class Hook(Protocol):
    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None: ...


class Log:
    """Writes the metrics of each step while the next one computes, so that nobody waits for numbers."""

    def __init__(self, speed: Speed) -> None:
        self.pending: list[tuple[int, dict[str, Any]]] = []
        self.speed = speed

    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None:
        self.pending.append((job.step, metrics))
        self.flush(job, keep=0 if last else 1)

    def flush(self, job: Job, keep: int = 0) -> None:
        """Write what was measured before the `keep` newest steps."""
        while len(self.pending) > keep:
            step, metrics = self.pending.pop(0)
            self._write(job, step, jax.device_get(metrics))

    def _write(self, job: Job, step: int, values: dict[str, Any]) -> None:
        self.speed.add(float(values["frames"]), float(values["flops"]))
        _check_finite(job, step, values)
        if step % job.recipe.log_every and step != job.recipe.steps:
            return
        job.record(
            {
                "split": "train",
                "step": step,
                **_told(values),
                "lr": float(values["lr"]),
                "grad_norm": _number(values["grad_norm"]),
                "text_dropped": float(values["text_dropped"]),
                "bad_steps": int(values["bad_steps"]),
                **self.speed.read(),
            }
        )


class Evaluate:
    """Validation loss on fixed batches."""

    def __init__(self, step: Evaluation, batches: Callable[[], Sequence[Batch]], log: Log) -> None:
        self.step, self.batches, self.log = step, batches, log

    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None:
        if job.step % job.recipe.evaluate.every == 0 or job.step == job.recipe.steps:
            self.log.flush(job)
            self.run(job)

    def run(self, job: Job) -> None:
        with job.goodput.spent("evaluation"):
            results = [self.step(job.state.params, batch) for batch in self.batches()]
            sums = jax.tree.map(lambda *parts: np.sum(np.asarray(parts, np.float64), 0), *results)
            found = jax.device_get(figures(sums, job.recipe))
        job.record({"split": "validation", "step": job.step, **_told(found)})


class Speak:
    """Lets the model speak, keeps what it said and records what was measured of it. What fails there ends no training."""

    def __init__(self, sample: Sample, log: Log) -> None:
        self.sample, self.log = sample, log

    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None:
        if job.step % job.recipe.samples.every == 0:
            self.log.flush(job)
            with job.goodput.spent("samples"):
                model = job.model()
                if job.run.writes():
                    self._speak(job, model)

    def _speak(self, job: Job, model: Dia) -> None:
        try:
            spoken = self.sample(model, job.config)
            samples.keep(spoken, job.run, job.step)
        except Exception as error:
            job.note(f"There are no samples of step {job.step}: {type(error).__name__}: {error}")
            return
        values = {key: value for key, value in spoken.values.items() if value is not None}
        job.record({"split": "listening", "step": job.step, **values})
        for clip in spoken.clips:
            job.report.audio(job.step, clip)


class Best:
    """Finds out whether a step is the best so far by one measure. What it remembers, it finds in `metrics.jsonl`."""

    def __init__(self, name: str, job: Job) -> None:
        self.name, self.measure, self.value = name, measure_of(name), math.nan
        saved = set(job.run.steps())
        for record in read_metrics(job.run.metrics):
            value = by_name(record).get(name) if record["step"] in saved else None
            if value is not None and self._better(job, value):
                job.best, self.value = record["step"], value

    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None:
        step, value = job.latest.get(self.name, (None, math.nan))
        better = step == job.step and self._better(job, value)
        if self.name.startswith("listening/") and job.step % job.recipe.samples.every == 0:
            better = hosts.any_says(better)  # only one of several processes listens
        if better:
            job.best, self.value = job.step, value

    def _better(self, job: Job, value: float) -> bool:
        return job.best is None or self.measure.nearer(self.value, value) > 0


class Save:
    """Writes checkpoints beside the steps, and what the run's time went into; after the last step it waits for them."""

    def __init__(self, log: Log) -> None:
        self.log, self.saved = log, 0

    def __call__(self, job: Job, metrics: dict[str, Any], last: bool) -> None:
        recipe = job.recipe.checkpoint
        # Whether anybody is saving may be known a step late.
        idle = not job.saving and job.step > self.saved + 1
        if last or job.step % recipe.every == 0 or job.step == job.best or (recipe.continuous and idle):
            self.log.flush(job)
            progress = {"step": job.step, "iterator": job.batches.get_state(), "data": job.data}
            with job.goodput.spent("save"):
                job.saver.save(job.state, progress, job.recipe, job.config, job.best)
                if last:
                    job.saver.wait()
            self.saved = job.step
            job.record({"split": "time", "step": job.step, **job.goodput.record()})


def _check_finite(job: Job, step: int, values: dict[str, Any]) -> None:
    in_row = int(values["bad_in_row"])
    if in_row == 1:
        job.note(f"Step {step} was skipped, because its loss or gradient is not finite.")
    if in_row >= BAD_STEPS_IN_ROW:
        raise RosellaError(
            f"The loss or the gradient was not finite for {in_row} steps in a row, up to step {step}: "
            "lower optimizer.lr, then run the same command in a new directory."
        )


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    """What there is of `objective.figures` among what was measured."""
    found = {measure.key: values[measure.key] for measure in LEARNT if measure.key in values}
    return {
        key: [_number(v) for v in value] if value.ndim else _number(value) for key, value in found.items()
    }


def _number(value: Any) -> float | None:
    """JSON has no infinity."""
    return float(value) if math.isfinite(value) else None
