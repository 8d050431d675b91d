"""How a training goes: each of its measures read as healthy, watch or stop, with one sentence of advice.

Everything is read from the lines of `metrics.jsonl`, so that a page, a terminal and a script read the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rosella.measures import SPEECH, Measure, by_name, measure_of

Level = Literal["healthy", "watch", "stop"]
LEVELS: tuple[Level, ...] = ("healthy", "watch", "stop")
"""From good to bad."""

Point = tuple[int, float]
"""A step and a value."""


@dataclass(frozen=True)
class Reading:
    """What a measure, by its name in the records, says at a step."""

    name: str
    step: int
    value: float | None
    level: Level
    sentence: str

    @property
    def measure(self) -> Measure:
        return measure_of(self.name)


@dataclass(frozen=True)
class Bounds:
    """Of a measure of what the model says: to `watch` where it is further from its ideal than `far`.

    Where it is further from it than its best so far by more than `slack`: to `watch`, and to `stop` when that is so twice
    in a row while the training loss went on falling.
    """

    far: float
    slack: float
    advice: str


LISTENING = {
    "retrieval": Bounds(
        0.5, 0.15, "Words cannot be told apart yet: go on, and compare texts with their recordings."
    ),
    "wer": Bounds(
        0.5, 0.15, "Many words are wrong: usual in the first thousands of steps, later look at the texts."
    ),
    "wer_kept": Bounds(
        0.3, 0.1, "Words are wrong in ordinary clips too: train longer, or with cleaner transcripts."
    ),
    "lost": Bounds(0.2, 0.15, "Whole clips are lost: listen whether they loop, fall silent or do not stop."),
    "stopped": Bounds(0.1, 0.15, "Clips run into their limit: check that utterances end with their speech."),
    "similarity": Bounds(
        0.35, 0.05, "The voice is not the prompt's: use longer prompts, or more speakers in training."
    ),
    "voice_right": Bounds(
        0.2,
        0.15,
        "Clips come in another speaker's voice: use longer prompts, and train on more continuations.",
    ),
    "turns_right": Bounds(
        0.2, 0.15, "Turns come in the wrong voice: check the speaker tags of the training texts."
    ),
    "length_ratio": Bounds(
        0.3, 0.2, "The pace is off: check that transcripts hold all that is said, and no more."
    ),
}
"""The bounds of what is heard, by key."""

WINDOW = 20
"""So many lines of training are taken together."""
RISE = 0.005
"""The share by which a validation loss above its best counts as risen."""
STEEP = 5.0
"""A gradient norm of so many times its median is to be watched."""
WAIT = 0.1
"""A share of time spent waiting for data that is to be watched."""


def read(records: Sequence[Mapping[str, Any]]) -> list[Reading]:
    """What the records of a run say at their end, the gravest first."""
    series: dict[str, list[Point]] = {}
    for record in records:
        for name, value in by_name(record).items():
            series.setdefault(name, []).append((record["step"], value))
    trained = [record for record in records if record["split"] == "train"]
    readings = [*_training(trained, series)]
    if "validation/loss" in series:
        readings.append(_validation(series["validation/loss"], series.get("train/loss", [])))
    for measure in SPEECH:
        points = series.get(f"listening/{measure.key}")
        if points and measure.key in LISTENING:
            readings.append(_heard(measure, points, series.get("train/loss", [])))
    return sorted(readings, key=lambda reading: -LEVELS.index(reading.level))


def worst(readings: Sequence[Reading]) -> Level:
    """Of all; healthy where there are none."""
    return LEVELS[max((LEVELS.index(reading.level) for reading in readings), default=0)]


def _training(trained: Sequence[Mapping[str, Any]], series: Mapping[str, list[Point]]) -> list[Reading]:
    if not trained:
        return []
    last, recent = trained[-1], trained[-WINDOW:]
    step, skipped = last["step"], recent[-1]["bad_steps"] - recent[0]["bad_steps"]
    if last["loss"] is None:
        sentence = "The loss is not finite: lower optimizer.lr, and begin in a new directory."
        return [Reading("train/loss", step, None, "stop", sentence)]
    losses = series["train/loss"]
    readings = [_reading("train/loss", losses, "healthy", "The training loss is finite.")]
    if skipped:
        sentence = (
            f"{skipped} of the last steps were skipped as not finite: lower optimizer.lr if it goes on."
        )
        readings = [_reading("train/loss", losses, "watch", sentence)]
    norms, waits = series.get("train/grad_norm", []), series.get("train/data_wait", [])
    if len(norms) > WINDOW and _mean(norms[-WINDOW:]) > STEEP * float(
        np.median([value for _, value in norms])
    ):
        sentence = "Gradients are far larger than usual: look for bad recordings, or lower optimizer.lr."
        readings.append(_reading("train/grad_norm", norms, "watch", sentence))
    if waits and _mean(waits[-WINDOW:]) > WAIT:
        sentence = "The step waits for data: bring the export nearer, or give the machine more cores."
        readings.append(_reading("train/data_wait", waits, "watch", sentence))
    return readings


def _validation(points: list[Point], losses: list[Point]) -> Reading:
    best_step, best = min(points, key=lambda point: point[1])
    risen = points[-1][1] > best * (1 + RISE)
    if risen and _fell(losses, best_step):
        sentence = (
            f"It rises since step {best_step:,} while the training loss falls: the model learns its data by heart; "
            "the checkpoint of that step may be the one to keep."
        )
        return _reading("validation/loss", points, "watch", sentence)
    return _reading("validation/loss", points, "healthy", "It is at its best, or near it.")


def _heard(measure: Measure, points: list[Point], losses: list[Point]) -> Reading:
    name, bounds = f"listening/{measure.key}", LISTENING[measure.key]
    ideal = measure.ideal or 0.0
    distances = [abs(value - ideal) for _, value in points]
    nearest = int(np.argmin(distances))
    behind = [distance - distances[nearest] > bounds.slack for distance in distances]
    best_step, best = points[nearest]
    if behind[-1]:
        was = f"It was {measure.shown(best)} at step {best_step:,}"
        if all(behind[-2:]) and _fell(losses, best_step):
            sentence = f"{was} and is worse since, though the loss falls: stop, and take the checkpoint of that step."
            return _reading(name, points, "stop", sentence)
        return _reading(name, points, "watch", f"{was}: if the next listening is no better, stop.")
    if distances[-1] > bounds.far:
        return _reading(name, points, "watch", bounds.advice)
    return _reading(name, points, "healthy", "It is where it should be.")


def _reading(name: str, points: Sequence[Point], level: Level, sentence: str) -> Reading:
    return Reading(name, points[-1][0], points[-1][1], level, sentence)


def _fell(losses: Sequence[Point], since: int) -> bool:
    """Whether the training loss is now lower than it was around a step."""
    before = [point for point in losses if point[0] <= since][-WINDOW:]
    after = [point for point in losses if point[0] > since][-WINDOW:]
    return bool(before and after) and _mean(after) < _mean(before)


def _mean(points: Sequence[Point]) -> float:
    return float(np.mean([value for _, value in points]))
