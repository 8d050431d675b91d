"""Processes that work side by side, one for each device."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def side_by_side(
    target: Callable[..., None], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Callable[[], bool]]:
    """Call `target` with each of `arguments` in a process of its own; all are ended with the block.

    Yields what is to be asked often: whether some are still at work. It starts those again that were killed,
    crashed or hung, and exits with the status of one that ended with the user's mistake or a failed run.
    """
    from multiprocessing import get_context

    context = get_context("spawn")

    def start(values: tuple[Any, ...]) -> Any:
        process = context.Process(target=target, args=values)
        process.start()
        return process

    processes = [start(values) for values in arguments]

    def at_work() -> bool:
        for number, process in enumerate(processes):
            if process.exitcode in (1, 2):
                raise typer.Exit(process.exitcode)
            if process.exitcode:
                print(f"A worker ended ({process.exitcode}), starting another", file=sys.stderr)
                processes[number] = start(arguments[number])
        return any(process.exitcode is None for process in processes)

    try:
        yield at_work
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
