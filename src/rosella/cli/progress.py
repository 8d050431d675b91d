"""Progress of long work: a bar on a terminal, a line every so often elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosella.shown import shown

if TYPE_CHECKING:
    from rich.console import Console

    from rosella.corpus.engines.progress import Advance
    from rosella.progress import Progress, Report

PLAIN_INTERVAL = 15.0  # seconds between lines where there is no terminal


@contextmanager
def progress(title: str, total: int) -> Generator[Progress]:
    """Show `title` and how far of `total`; yields `update(done, note)`."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        with _bar(title, total, console) as update:
            yield update
    else:
        yield _lines(title, total)


def training_report(
    update: Progress,
    validation: Callable[[dict[str, Any]], str],
    speed: Callable[[dict[str, Any]], str],
) -> Report:
    """Shows what a training reports: its notes as lines, its losses with the progress."""
    validated = ""

    def report(values: dict[str, Any]) -> None:
        nonlocal validated
        if "note" in values:
            print(values["note"], flush=True)
        elif values["split"] == "validation":
            validated = f", validation {validation(values)}"
        elif values["split"] == "train":
            loss = "not finite" if values["loss"] is None else f"{values['loss']:.3f}"
            update(values["step"], f"loss {loss}{validated}, {speed(values)}")

    return report


@contextmanager
def _bar(title: str, total: int, console: Console) -> Generator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=shown(note))


def _lines(title: str, total: int) -> Progress:
    last = 0.0

    def update(done: int, note: str = "") -> None:
        nonlocal last
        if done == total or time.monotonic() - last > PLAIN_INTERVAL:
            last = time.monotonic()
            print(f"{title}: {done}/{total} {shown(note)}".rstrip(), flush=True)

    return update


@contextmanager
def corpus_progress() -> Generator[Callable[[Advance], None]]:
    """Each stage's recordings, speed and failures: bars on a terminal, some lines elsewhere; on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, speed = Console(stderr=True), _Speed()
    if not console.is_terminal:
        yield _Lines(speed)
        return
    columns = TextColumn("{task.fields[stage]:10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("{task.description}", markup=False), console=console) as bars:
        tasks = {}

        def show(advance: Advance) -> None:
            if advance.stage not in tasks:
                tasks[advance.stage] = bars.add_task("", total=advance.total, stage=advance.stage)
            words = speed(advance), _failures(advance), shown(Path(advance.path).name)
            bars.update(
                tasks[advance.stage],
                completed=advance.done,
                total=advance.total,
                description=", ".join(filter(None, words)),
            )

        yield show


class _Speed:
    """Audio over time of each stage, since it was first heard of."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, float]] = {}

    def __call__(self, advance: Advance) -> str:
        """Such as "38 x real time"; nothing before anything is done."""
        now = time.monotonic()
        began, seconds = self._first.setdefault(advance.stage, (now, advance.seconds))
        rate = (advance.seconds - seconds) / max(now - began, 1e-3)
        return f"{rate:,.{0 if rate >= 10 else 1}f} x real time" if rate else ""


def _failures(advance: Advance) -> str:
    return f"{advance.failed} failed" if advance.failed else ""


class _Lines:
    """A line per tenth of the work of each stage."""

    def __init__(self, speed: _Speed) -> None:
        self._speed = speed
        self._said: dict[str, int] = {}

    def __call__(self, advance: Advance) -> None:
        speed, done, total = self._speed(advance), advance.done, advance.total
        if (
            not total
            or (done < total and done % max(1, total // 10))
            or self._said.get(advance.stage) == done
        ):
            return
        self._said[advance.stage] = done
        facts = ", ".join(filter(None, (speed, _failures(advance), shown(Path(advance.path).name))))
        line = f"{advance.stage}: {done} of {total}" + (f" ({facts})" if facts else "")
        print(line, file=sys.stderr, flush=True)
