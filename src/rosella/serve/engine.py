"""One model that speaks for all requests at once: a thread that takes their steps in one batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from rosella.errors import RosellaError, UserError

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.inference.layout import Generation, Prompt
    from rosella.inference.seats import Seat
    from rosella.inference.settings import Sampling
    from rosella.model.config import DiaConfig
    from rosella.speak import Speaker

logger = logging.getLogger(__name__)

T = TypeVar("T")

STOPPING = "The server is stopping: try again once it runs."


class Failed(RosellaError):
    """The model raised something while it spoke; the log has the traceback."""

    def __init__(self) -> None:
        super().__init__(
            "The model failed while it spoke: try again, and if it fails again, read the server's log."
        )


class Cancelled(RosellaError):
    """Whoever was to hear it is gone, or waits no longer."""


class Batch(Protocol):
    """What the engine needs of `inference.seats.Table`."""

    @property
    def seats(self) -> list[Seat]: ...
    def join(self, ids: np.ndarray, prompt: Prompt | None, frames: int, seed: int) -> Seat: ...
    def advance(self) -> None: ...
    def leave(self, seat: Seat) -> None: ...


class Engine:
    """The thread that owns the batch: everybody else has it act by `ask` and `tell`.

    What fails there fails who sat there; the next batch is a new one.
    """

    def __init__(self, make: Callable[[], Batch]) -> None:
        """`make` gives an empty batch."""
        self._make, self._batch = make, make()
        self._changed = threading.Condition()
        self._acts: list[tuple[Callable[[Batch], Any], Future[Any]]] = []
        self._closing = False
        self.failures = 0
        """How often a batch failed."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closing

    def tell(self, act: Callable[[Batch], T]) -> Future[T]:
        """Have something done before the next chunk of steps."""
        future: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise Cancelled(STOPPING)
            self._acts.append((act, future))
            self._changed.notify_all()
        return future

    def ask(self, act: Callable[[Batch], T]) -> T:
        """Have something done and wait for what it gives or raises."""
        return self.tell(act).result()

    def wait(self, ready: Callable[[], bool], failures: int) -> None:
        """Until something is so that changes with a chunk of steps.

        Failed where the batch has failed more often than that, Cancelled where there will be no more steps.
        """
        with self._changed:
            self._changed.wait_for(lambda: ready() or self.failures > failures or self._closing)
        if not ready():
            raise Failed() if self.failures > failures else Cancelled(STOPPING)

    def close(self) -> None:
        """Take no more steps; who still waits for some is told so."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while acts := self._next():
            for act, future in acts.pop():
                self._act(act, future)
            try:
                self._batch.advance()
            except Exception:
                logger.exception("The batch failed with %d who sat there", len(self._batch.seats))
                self._batch, self.failures = self._make(), self.failures + 1
            with self._changed:
                self._changed.notify_all()

    def _next(self) -> list[list[tuple[Callable[[Batch], Any], Future[Any]]]]:
        """What is to be done before the next steps, once there is something to do; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._acts or self._batch.seats)
            acts, self._acts = self._acts, []
        if not self._closing:
            return [acts]
        for _, future in acts:
            future.set_exception(Cancelled(STOPPING))
        return []

    def _act(self, act: Callable[[Batch], T], future: Future[T]) -> None:
        try:
            future.set_result(act(self._batch))
        except UserError as error:
            future.set_exception(error)
        except Exception:
            logger.exception("The model failed before it spoke")
            future.set_exception(Failed())


class Session:
    """What one request speaks with, in place of a `Speaker`: its generations share the batch with all others.

    Leaving it frees its places, also in the middle of a speech; so does `cancel`, from any thread.
    """

    def __init__(self, engine: Engine, speaker: Speaker) -> None:
        self._engine = engine
        self.codec: Codec = speaker.codec
        self.config: DiaConfig = speaker.config
        self.follow = speaker.follow
        self._seats: list[Seat] = []
        self._cancelled: RosellaError | None = None

    def begin(
        self, ids: np.ndarray, prompt: Prompt | None, frames: int, seed: int, sampling: Sampling
    ) -> Generating:
        """As `Speaker.begin`; `sampling` is that of the batch, whatever it says."""
        if self._cancelled is not None:
            raise self._cancelled
        engine = self._engine
        seat, failures = engine.ask(lambda batch: (batch.join(ids, prompt, frames, seed), engine.failures))
        self._seats.append(seat)
        return Generating(self, seat, failures)

    def cancel(self, reason: RosellaError) -> None:
        """Whoever waits for more of it is told the reason."""
        self._cancelled = reason
        self._free()

    def wait(self, seat: Seat, step: int, failures: int) -> None:
        """Until a seat has come to that step, or to its end."""
        self._engine.wait(lambda: seat.step >= step or seat.finished or self._cancelled is not None, failures)
        if self._cancelled is not None:
            raise self._cancelled

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free()

    def _free(self) -> None:
        with suppress(Cancelled):  # a batch that stops is free of everybody
            for seat in self._seats:
                if not seat.finished:
                    self._engine.tell(lambda batch, seat=seat: batch.leave(seat))


class Generating:
    """A generation in the batch, which goes on whether it is waited for or not; with what `Running` has."""

    def __init__(self, session: Session, seat: Seat, failures: int) -> None:
        self._session, self._seat, self._failures, self._heard = session, seat, failures, 0

    @property
    def finished(self) -> bool:
        return self._seat.finished

    def advance(self, steps: int) -> None:
        """Wait until so many more steps are taken, or all that are left."""
        self._heard = max(self._seat.step, self._heard + steps)
        self._session.wait(self._seat, self._heard, self._failures)

    def so_far(self) -> Generation:
        return self._seat.so_far()
