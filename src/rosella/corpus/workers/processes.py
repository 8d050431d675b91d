"""Processes that work side by side, one for each device."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from typing import Any

from rosella import threads
from rosella.errors import RosellaError, explain
from rosella.shown import lines_shown

TERMINAL = (signal.SIGINT, signal.SIGHUP)

MAX_DEATHS = 3
"""Times in a row that a process may be killed while it loads its models."""

GRACE_SECONDS = 30.0
"""How long a process that is told to stop may give back what it has."""


class WorkerFailed(RosellaError):
    """A process ended with the user's mistake (2) or a failed run (1), and has said so."""

    def __init__(self, code: int) -> None:
        super().__init__("A worker failed: it says why on standard error.")
        self.code = code


@contextmanager
def side_by_side(
    target: Callable[..., None], arguments: Sequence[tuple[Any, ...]]
) -> Generator[Callable[[], bool]]:
    """Call `target` with each of `arguments`, and what to give to `loading`, in a process of its own.

    They share the cores. All are ended with the block. Yields what is to be asked often: whether some are still at work.
    It starts those again that were killed, crashed or hung. A WorkerFailed says that one ended with the user's mistake or a
    failed run, another RosellaError that one cannot even load its models.
    """
    places = [_Place(target, values) for values in arguments]

    def at_work() -> bool:
        states = [place.at_work() for place in places]
        return any(states)

    try:
        with threads.shared_by(len(places)):
            for place in places:
                place.start()
            yield at_work
    finally:
        started = [place.process for place in places if place.process]
        for process in started:
            process.terminate()
        for process in started:
            process.join(GRACE_SECONDS)
            process.kill()
            process.join()


@contextmanager
def loading(flag: Any) -> Generator[None]:
    """While a process of `side_by_side` loads its models: killed here, it would be killed again."""
    flag.value = True
    try:
        yield
    finally:
        flag.value = False


class _Place:
    """Where one process after another does the same."""

    def __init__(self, target: Callable[..., None], values: tuple[Any, ...]) -> None:
        self._context = get_context("spawn")
        # Raw: a lock would stay locked by a process that is killed with it.
        self._loading = self._context.RawValue(ctypes.c_bool, False)
        self._target, self._arguments = target, (*values, self._loading)
        self._deaths = 0
        self.process: Any = None

    def start(self) -> None:
        process = self._context.Process(target=self._target, args=self._arguments, daemon=True)
        with _meant_for_this_process():
            process.start()
        self.process = process

    def at_work(self) -> bool:
        """Whether it is, or is again, at work."""
        code = self.process.exitcode
        if code in (1, 2):
            raise WorkerFailed(code)
        if code:
            self._deaths = self._deaths + 1 if self._loading.value else 0
            if self._deaths == MAX_DEATHS:
                raise RosellaError(
                    f"A worker ended ({code}) {MAX_DEATHS} times while it loaded its models: give this machine more memory, "
                    "or work with smaller models or fewer devices."
                )
            print(f"A worker ended ({code}), starting another", file=sys.stderr)
            self._loading.value = False
            self.start()
        return code != 0


@contextmanager
def _meant_for_this_process() -> Generator[None]:
    """Processes started in this block never get what a terminal sends to all: this one ends them with SIGTERM."""
    resource_tracker.ensure_running()  # starting it with the first process would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Have this process get SIGTERM when the one that started it is gone, even by SIGKILL."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def tell(error: Exception) -> int:
    """Say what went wrong in this process, as the command line does; the exit code."""
    sentence, code = explain(error)
    print(f"rosella: {lines_shown(sentence)}", file=sys.stderr, flush=True)
    return code
