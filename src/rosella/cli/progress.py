"""Progress of long work: a bar on a terminal, a line every so often elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PLAIN_INTERVAL = 15.0  # seconds between lines where there is no terminal


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show `title` and how far of `total`; yields `update(done, note)`."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        with _bar(title, total, console) as update:
            yield update
    else:
        yield _lines(title, total)


def training_report(
    update: Callable[[int, str], None],
    validation: Callable[[dict[str, Any]], str],
    speed: Callable[[dict[str, Any]], str],
) -> Callable[[dict[str, Any]], None]:
    """Shows what a training reports: its notes as lines, its losses with the progress."""
    validated = ""

    def report(values: dict[str, Any]) -> None:
        nonlocal validated
        if "note" in values:
            print(values["note"], flush=True)
        elif values["split"] == "validation":
            validated = f", validation {validation(values)}"
        else:
            loss = "not finite" if values["loss"] is None else f"{values['loss']:.3f}"
            update(values["step"], f"loss {loss}{validated}, {speed(values)}")

    return report


@contextmanager
def _bar(title: str, total: int, console) -> Iterator[Callable[[int, str], None]]:
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
        yield lambda done, note="": bar.update(task, completed=done, note=note)


def _lines(title: str, total: int) -> Callable[[int, str], None]:
    last = 0.0

    def update(done: int, note: str = "") -> None:
        nonlocal last
        if done == total or time.monotonic() - last > PLAIN_INTERVAL:
            last = time.monotonic()
            print(f"{title}: {done}/{total} {note}".rstrip(), flush=True)

    return update
