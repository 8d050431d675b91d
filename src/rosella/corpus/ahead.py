"""Decoding ahead of the device: the next audio is read while the models have the last."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from functools import cache
from threading import Thread
from typing import Any, Generic, Self, TypeVar

from rosella.records import Recording

T = TypeVar("T")
Due = TypeVar("Due")

_END: Any = object()


_PATIENCE = 5.0
"""Seconds that a process which ends waits for its decoders: native code that comes back to an interpreter that is gone
aborts the process, and one that hangs never comes back."""

_running: set[Future[Any]] = set()


def in_thread(make: Callable[[], T]) -> Future[T]:
    """What a call returns, from a thread of its own that cannot keep the process from ending."""
    made: Future[T] = Future()
    _running.add(made)
    made.add_done_callback(_running.discard)
    _wait_at_exit()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    Thread(target=run, daemon=True).start()
    return made


@cache
def _wait_at_exit() -> None:
    atexit.register(lambda: wait(tuple(_running), _PATIENCE))


class Ahead(Generic[T]):
    """What a generator yields, made by a thread: the first at once, each other while the one before it is in use.

    An error comes where the item would have.
    """

    def __init__(self, items: Generator[T]) -> None:
        self._items = items
        self._next = self._begun()

    def _begun(self) -> Future[T]:
        return in_thread(lambda: next(self._items, _END))

    def __iter__(self) -> Iterator[T]:
        while (item := self._next.result()) is not _END:
            self._next = self._begun()
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what was not taken. Does not wait for a decoder that hangs, and closes files only behind it."""
        self._next.add_done_callback(lambda _: self._items.close())


class Expected(Generic[Due, T]):
    """Decodes the recording that comes next while one is at work. `due` says what of it; `decode` does it."""

    def __init__(
        self, due: Callable[[Recording], Due], decode: Callable[[Recording, Due], Generator[T]]
    ) -> None:
        self._due, self._decode = due, decode
        self._next: Recording | None = None
        self._begun: tuple[str, Due, Ahead[T]] | None = None

    def expect(self, recording: Recording | None) -> None:
        """This one comes after the next that is taken: only who has work in hand decodes ahead."""
        self._next = recording

    def take(self, recording: Recording, work: Due) -> Ahead[T]:
        """The decoding of a recording, which begins now unless it was expected with the same work."""
        taken = self._expected(recording, work) or Ahead(self._decode(recording, work))
        if self._next:
            due = self._due(self._next)
            self._begun = self._next.id, due, Ahead(self._decode(self._next, due))
        return taken

    def _expected(self, recording: Recording, work: Due) -> Ahead[T] | None:
        begun, self._begun = self._begun, None
        if begun and begun[:2] == (recording.id, work):
            return begun[2]
        if begun:
            begun[2].close()
        return None
