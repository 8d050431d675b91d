"""Processes that work side by side, one for each device."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
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
        codes = [process.exitcode for process in processes]  # once: they may change at any moment
        for number, code in enumerate(codes):
            if code in (1, 2):
                raise typer.Exit(code)
            if code:
                print(f"A worker ended ({code}), starting another", file=sys.stderr)
                processes[number] = start(arguments[number])
        return any(code != 0 for code in codes)

    try:
        yield at_work
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def end_with_parent() -> None:
    """Have this process get SIGTERM when the one that started it is gone, even by SIGKILL."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
