"""How a process is told to stop: by Ctrl-C, by SIGTERM, and by SIGHUP when its terminal is closed."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PATIENCE = 5.0
"""Seconds a process has to stop. Signals that follow meanwhile are the same wish: a closed terminal sends several."""

SENTENCE = "Interrupted; run the same command again to resume."

_LEFT = 0
# Kept here and in no object: a process has one set of signal handlers, and all that runs in it shares them.
_last: int = signal.SIGINT
_interrupting: frozenset[int] = frozenset()
_undisturbed = 0
_waiting = False


def exit_code() -> int:
    """What a shell says of a process that its last signal ended: 130 (Ctrl-C), 143 (SIGTERM) or 129 (SIGHUP)."""
    return 128 + _last


def end_quietly() -> None:
    """Whoever asks again while this process ends sees no traceback."""
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)


@contextmanager
def heeding(act: Callable[[int], None]) -> Generator[frozenset[int]]:
    """Have each of `NUMBERS` call `act` with itself; yields which do: those that are ignored, as by `nohup`, stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield frozenset()
        return

    def handle(number: int, _: object) -> None:
        global _last
        _last = number
        act(number)

    heeded = frozenset(number for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN)
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield heeded
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupting() -> Generator[None]:
    """Have each of `NUMBERS` raise KeyboardInterrupt, as Ctrl-C does, but not while one is being obeyed."""
    global _interrupting
    obeyed = -PATIENCE

    def interrupt(_: int) -> None:
        global _waiting
        nonlocal obeyed
        if time.monotonic() - obeyed < PATIENCE:
            return
        obeyed = time.monotonic()
        _waiting = bool(_undisturbed) and not _waiting
        if not _waiting:
            raise KeyboardInterrupt

    outer = _interrupting
    with heeding(interrupt) as _interrupting:
        try:
            yield
        finally:
            _interrupting = outer


@contextmanager
def undisturbed() -> Generator[None]:
    """For what must not be broken off: an interruption waits for its end, or for the next one PATIENCE later."""
    global _undisturbed, _waiting
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _undisturbed += 1
    try:
        yield
    finally:
        _undisturbed -= 1
        if _waiting and not _undisturbed:
            _waiting = False
            raise KeyboardInterrupt


@contextmanager
def last_will(act: Callable[[], None]) -> Generator[None]:
    """Where native code hangs, no signal gets through: then, PATIENCE seconds after one that interrupts this block,
    another thread calls `act` and ends the process."""
    if not _interrupting or threading.current_thread() is not threading.main_thread():
        yield
        return
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    left = threading.Event()

    def watch() -> None:
        while (number := os.read(told, 1)[0]) not in (_LEFT, *_interrupting):
            pass
        if number != _LEFT and not left.wait(PATIENCE):
            _end(128 + number, act)

    watcher = threading.Thread(target=watch, name="last will", daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        left.set()
        os.write(tell, bytes([_LEFT]))
        watcher.join()
        os.close(told)
        os.close(tell)


def _end(code: int, act: Callable[[], None]) -> None:
    try:
        acting = threading.Thread(target=act, daemon=True)
        acting.start()
        acting.join(PATIENCE)
        os.write(2, f"{SENTENCE}\n".encode())
    finally:
        os._exit(code)
