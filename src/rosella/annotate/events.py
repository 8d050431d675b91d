"""What happens to clips, told to whoever looks: what was changed, also by other processes, and who has a clip open."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from rosella.annotate.settings import Limits
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Correction
from rosella.corpus.catalogue.database import Database
from rosella.errors import RosellaError

logger = logging.getLogger(__name__)

_LATE = 10.0
"""Seconds for which a number that was passed over may still come: transactions do not end in the order they began."""
_BEHIND = 1000
"""Events that a listener may not have read yet."""
_ALIVE = ": alive\n\n"


@dataclass(eq=False)
class _Listener:
    name: str
    clip: str | None
    told: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(_BEHIND))

    def tell(self, event: str | None) -> None:
        try:
            self.told.put_nowait(event)
        except asyncio.QueueFull:  # asks again, and is told how things are
            while not self.told.empty():
                self.told.get_nowait()
            self.told.put_nowait(None)

    def concerned(self, row: Correction) -> bool:
        if self.clip is None or row.clip == self.clip:
            return True
        return row.clip is None and self.clip.startswith(row.recording)


class Hub:
    """One for a process: it looks once for all who listen. All but `wake` is for the thread of its event loop."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database, self._limits = database, limits
        self._listeners: set[_Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken, self._closed = asyncio.Event(), False
        self._news = _News(database)

    def wake(self) -> None:
        """Look at once; something was changed here. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    def close(self) -> None:
        """End all streams, and let no other begin."""
        self._closed = True
        for listener in self._listeners:
            listener.tell(None)

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Looks for changes meanwhile."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._news.begin)
        task = asyncio.create_task(self._look())
        yield
        self._loop = None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def people(self, clip: str, but: str) -> list[str]:
        """Who else has a clip open; from any thread, so others may come and go meanwhile."""
        return sorted({listener.name for listener in self._listeners.copy() if listener.clip == clip} - {but})

    async def stream(self, name: str, clip: str | None) -> AsyncIterator[str]:
        """Events as a server sends them (HTML standard, 9.2), for one who has a clip open; first how things are."""
        listener = _Listener(name, clip)
        self._listeners.add(listener)
        self._tell_people(clip)
        try:
            if clip is not None and (latest := await asyncio.to_thread(self._latest, clip)):
                listener.tell(_changed(latest))
            async for event in self._told(listener):
                yield event
        finally:
            self._listeners.discard(listener)
            self._tell_people(clip)

    async def _told(self, listener: _Listener) -> AsyncIterator[str]:
        end = time.monotonic() + self._limits.stream
        while not self._closed and time.monotonic() < end:
            try:
                event = await asyncio.wait_for(listener.told.get(), self._limits.heartbeat)
            except TimeoutError:
                event = _ALIVE
            if event is None:
                return
            yield event

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            try:
                for row in await asyncio.to_thread(self._news.since):
                    for listener in self._listeners:
                        if listener.concerned(row):
                            listener.tell(_changed(row))
            except RosellaError as error:
                logger.warning("%s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._limits.poll)

    def _latest(self, clip: str) -> Correction | None:
        rows = list(corrections.history(self._database, clip=clip))
        return rows[-1] if rows else None

    def _tell_people(self, clip: str | None) -> None:
        if clip is None:
            return
        for listener in self._listeners:
            if listener.clip == clip:
                people = self.people(clip, listener.name)
                listener.tell(_event("people", {"clip": clip, "people": people}))


class _News:
    """Corrections by their numbers, each once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._floor, self._seen, self._waiting = 0, set[int](), 0.0

    def begin(self) -> None:
        self._floor = corrections.newest(self._database)

    def since(self) -> list[Correction]:
        """Those that are there since this was asked last."""
        rows = list(corrections.history(self._database, since=self._floor))
        fresh = [row for row in rows if row.number not in self._seen]
        self._seen |= {row.number for row in fresh}
        self._rise()
        return fresh

    def _rise(self) -> None:
        """Past all numbers that are there, and past one that is not when it has had its time."""
        while self._seen:
            if self._floor + 1 in self._seen:
                self._floor, self._waiting = self._floor + 1, 0.0
                self._seen.discard(self._floor)
            elif not self._waiting:
                self._waiting = time.monotonic()
                return
            elif time.monotonic() - self._waiting < _LATE:
                return
            else:
                self._floor, self._waiting = min(self._seen) - 1, 0.0


def _changed(row: Correction) -> str:
    told = {
        name: getattr(row, name) for name in ("clip", "recording", "version", "author", "action", "number")
    }
    return _event("changed", told)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
