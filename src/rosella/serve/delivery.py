"""What a thread makes, handed on by the event loop as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")


class Delivery(Generic[T]):
    """Has a thread of `threads` go through `pieces`; iterate over it to have them, or what ended them raised.

    `done` is called in the event loop when the thread has come to an end, whether anybody still listens or not. Nobody is
    waited for: what a slow listener has not taken is kept.
    """

    def __init__(self, threads: Executor, pieces: Iterator[T], done: Callable[[], None]) -> None:
        self._loop, self._pieces, self._done = asyncio.get_running_loop(), pieces, done
        self._made: asyncio.Queue[T | BaseException | None] = asyncio.Queue()
        threads.submit(self._run)

    async def __aiter__(self) -> AsyncIterator[T]:
        while (piece := await self._made.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for piece in self._pieces:
                self._loop.call_soon_threadsafe(self._made.put_nowait, piece)
        except BaseException as error:  # whatever it was, somebody waits for it in another thread
            end = error
        finally:
            self._loop.call_soon_threadsafe(self._made.put_nowait, end)
            self._loop.call_soon_threadsafe(self._done)
