"""A run while it goes on, as a page that refreshes itself: is it well, what it learns, what it says."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rosella import audio
from rosella.evaluate.health import Reading, read, worst
from rosella.files import write_text
from rosella.measures import SHARE, SPEECH, TRAINING, by_name, measure_of
from rosella.numbers import percent
from rosella.report import figures, page
from rosella.report.facts import Curve, codebook_curves, machine_facts
from rosella.report.page import Html, element, join, paragraph, section, table
from rosella.runs import read_metrics
from rosella.speak import provenance
from rosella.training.recipe import Recipe
from rosella.training.run import TrainingRun
from rosella.training.trackers import Tracker

EVERY = 30.0
"""Seconds between two drawings of the page, at least."""
PAUSE = 50
"""A drawing is followed by so many times its own time without one: it takes no more than a fiftieth of a run."""
SAMPLES = 2
"""Of so many steps, the newest, the page plays what was said."""
POINTS = 400
"""A curve is drawn through so many means at most."""


class RunPage(Tracker):
    """Writes `report.html` into the run directory at the start, every so often, and at the end.

    `opened` hears once where it is.
    """

    rewinds = True

    def __init__(self, opened: Callable[[Path], object] = lambda path: None) -> None:
        self.opened = opened

    def start(self, run: TrainingRun, recipe: Recipe, step: int) -> None:
        self.run, self.recipe = run, recipe
        self._write(live=True)
        self.opened(self.path)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if time.monotonic() >= self.due:
            self._write(live=True)

    def finish(self) -> None:
        self._write(live=False)

    @property
    def path(self) -> Path:
        return self.run.path / "report.html"

    def _write(self, live: bool) -> None:
        start = time.monotonic()
        write_text(self.path, draw(facts(self.run, self.recipe.steps, live)))
        end = time.monotonic()
        self.due = end + max(EVERY, PAUSE * (end - start))


@dataclass(frozen=True)
class Said:
    """A line of `samples/<step>.json`; `audio` is where it can be heard, None for silence."""

    text: str
    heard: str | None
    stopped: bool
    audio: Path | None
    sample_rate: int


@dataclass(frozen=True)
class RunFacts:
    """All that the page tells. `records` are the lines of `metrics.jsonl`; `said` the samples of the newest steps."""

    name: str
    steps: int
    records: Sequence[Mapping[str, Any]]
    said: Mapping[int, Sequence[Said]]
    live: bool
    machine: Mapping[str, str]

    def split(self, name: str) -> list[Mapping[str, Any]]:
        return [record for record in self.records if record["split"] == name]

    @property
    def step(self) -> int:
        return max((record["step"] for record in self.records), default=0)


def facts(run: TrainingRun, steps: int, live: bool) -> RunFacts:
    """What a run directory holds now."""
    lists = sorted(run.samples.glob("*.json"))[-SAMPLES:]
    said = {
        int(path.stem): [_said(line, run.samples) for line in json.loads(path.read_text())] for path in lists
    }
    return RunFacts(run.path.name, steps, read_metrics(run.metrics), said, live, machine_facts())


def draw(run: RunFacts) -> str:
    """The page as text. It refers to nothing outside itself."""
    readings = read(run.records)
    level = worst(readings)
    lead = paragraph(join([*_sentences(run), "It reads", element("b", level, level)]), "lead")
    parts: list[object] = [lead, _tiles(run), *([_health(readings)] if readings else [])]
    if run.split("train"):
        parts += [_losses(run), _accuracy(run), _work(run)]
    if run.split("time"):
        parts.append(_time(run.split("time")[-1]))
    if run.split("listening"):
        parts.append(_listening(run))
    parts += [_samples(step, said) for step, said in sorted(run.said.items(), reverse=True)]
    refresh = round(EVERY) if run.live else None
    return page.render(f"The run {run.name}", [*parts, _footer(run)], refresh)


def _sentences(run: RunFacts) -> Iterator[str]:
    yield f"{run.step:,} of {run.steps:,} steps are done ({percent(run.step / run.steps)})."
    if not run.split("train"):
        yield "The first step is still being compiled." if run.live else ""
    elif run.live:
        yield "The training goes on, and this page with it."
    elif run.step < run.steps:
        yield "The training was stopped; the same command goes on."


def _tiles(run: RunFacts) -> Html:
    shown = [(f"{run.step:,}", f"of {run.steps:,} steps")]
    for split, key, label in (
        ("train", "loss", "loss in training (nats)"),
        ("validation", "loss", "loss in validation (nats)"),
        ("train", "frames_per_second", "codec frames a second"),
        ("train", "mfu", "of the devices' operations used"),
    ):
        values = [record[key] for record in run.split(split) if record.get(key) is not None]
        if values:
            shown.append(
                (_tile(key, float(np.mean(values[-10:])) if split == "train" else values[-1]), label)
            )
    if times := run.split("time"):
        productive = times[-1]["productive"] / times[-1]["seconds"]
        shown.append((percent(productive), "of the time went into steps"))
    return page.tiles(shown)


def _tile(key: str, value: float) -> str:
    if key == "loss":
        return f"{value:.3f}"
    return f"{value:,.0f}" if key == "frames_per_second" else percent(value, 1 if value < 0.1 else 0)


def _health(readings: Sequence[Reading]) -> Html:
    rows = [
        [
            join([reading.measure.name, element("span", reading.name.partition("/")[0], "who")]),
            element("span", reading.measure.shown(reading.value), "number"),
            join([element("b", reading.level, reading.level), element("span", reading.sentence, "who")]),
        ]
        for reading in readings
    ]
    return section("How it goes", table(["measure", "now", "reading"], rows))


def _losses(run: RunFacts) -> Html:
    train, validation = run.split("train"), run.split("validation")
    whole = {
        "training": _curve(train, "loss"),
        "validation": _curve(validation, "loss"),
        "training, next step": _curve(train, "ar_loss"),
        "validation, next step": _curve(validation, "ar_loss"),
        "validation, bound": _curve(validation, "elbo_loss"),
    }
    shown = {name: curve for name, curve in whole.items() if curve[0]}
    both = figures.curves(shown, "loss (nats)", [name for name in shown if name.startswith("validation")])
    books = figures.loss_curves(*(_thin(curves) for curves in codebook_curves(run.records)))
    return section(
        "Losses",
        page.figure(both, "Weighted mean over the codebooks; dots are utterances kept apart.", "wide"),
        page.figure(books, "By codebook: the first carries the words, the last the finest detail.", "wide"),
    )


def _accuracy(run: RunFacts) -> Html:
    curves = {"training": _curve(run.split("train"), "accuracy")}
    curves["validation"] = _curve(run.split("validation"), "accuracy")
    shown = {name: curve for name, curve in curves.items() if curve[0]}
    return section(
        "Right codes",
        page.figure(figures.curves(shown, "share", ("validation",)), _meaning("accuracy"), "wide"),
    )


def _work(run: RunFacts) -> Html:
    keys = ("lr", "grad_norm", "frames_per_second", "mfu", "data_wait", "peak_memory")
    measures = {measure.key: measure for measure in TRAINING}
    panels = {
        f"{measures[key].name}{_unit(measures[key].unit)}": curve
        for key in keys
        if (curve := _curve(run.split("train"), key))[0]
    }
    return section("Optimizer and machine", page.figure(figures.panels(panels), "Over the steps.", "wide"))


def _time(record: Mapping[str, Any]) -> Html:
    """Of the newest start of the run."""
    rows = [
        [" ".join([measure_of(name).name, *name.split("/")[2:]]), measure_of(name).shown(value)]
        for name, value in by_name(record).items()
    ]
    return section("Where the time went", table(["", "time"], rows))


def _listening(run: RunFacts) -> Html:
    records = run.split("listening")
    curves = {
        f"{measure.name}{_unit(measure.unit)}": curve
        for measure in SPEECH
        if (curve := _curve(records, measure.key))[0]
    }
    meanings = [
        element("span", join([element("b", measure.name), measure.meaning]), "who")
        for measure in SPEECH
        if _curve(records, measure.key)[0]
    ]
    return section("What is heard", page.figure(figures.panels(curves), "Over the steps.", "wide"), *meanings)


def _samples(step: int, said: Sequence[Said]) -> Html:
    return section(f"Said at step {step:,}", element("div", join(_player(one) for one in said), "players"))


def _player(said: Said) -> Html:
    verdict = element("span", "stopped", "good") if said.stopped else element("span", "did not stop", "bad")
    heard = [] if said.heard is None else [element("div", f"heard: {said.heard or 'nothing'}", "who")]
    label = join([element("b", said.text), " · ", verdict, *heard])
    if said.audio is None:
        return element("div", element("span", join([label, " · silence"])), "player")
    return page.player_of(label, _mp3(said.audio, said.sample_rate))


def _footer(run: RunFacts) -> Html:
    made = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    machine = " · ".join(f"{name} {value}" for name, value in run.machine.items())
    return element("footer", paragraph(f"Written {made} · {machine}", "soft"))


def _curve(records: Sequence[Mapping[str, Any]], key: str) -> Curve:
    points = [(record["step"], record[key]) for record in records if record.get(key) is not None]
    return _thinned(([step for step, _ in points], [value for _, value in points]))


def _thin(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    return {name: _thinned(curve) for name, curve in curves.items()}


def _thinned(curve: Curve) -> Curve:
    """Means of neighbouring points where there are more than can be seen."""
    steps, values = np.asarray(curve[0], float), np.asarray(curve[1], float)
    if len(steps) <= POINTS:
        return curve
    parts = np.array_split(np.arange(len(steps)), POINTS)
    return [float(steps[part].mean()) for part in parts], [float(values[part].mean()) for part in parts]


def _said(line: Mapping[str, Any], folder: Path) -> Said:
    file = line["audio"]
    return Said(
        line["text"], line["heard"], line["stopped"], folder / file if file else None, line["sample_rate"]
    )


@lru_cache(maxsize=256)
def _mp3(path: Path, sample_rate: int) -> str:
    """Encoded once, not each time the page is drawn."""
    return page.mp3(audio.decode(path, sample_rate), sample_rate, provenance.STATEMENT)


def _meaning(key: str) -> str:
    return measure_of(f"train/{key}").meaning


def _unit(unit: str) -> str:
    return f" ({unit})" if unit and unit != SHARE else ""
