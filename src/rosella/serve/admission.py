"""Who may speak now, who waits for it, and who is refused at once."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from rosella.web.faults import Refusal


@dataclass
class Ticket:
    """Leave to speak, since `since` s of a monotonic clock."""

    since: float


class Admission:
    """At most `places` speak and `queue` wait; who would wait longer than `patience` s is refused too, at once.

    Used from one event loop.
    """

    def __init__(self, places: int, queue: int, patience: float) -> None:
        self._places, self._queue, self._patience = places, queue, patience
        self._turns: deque[asyncio.Future[None]] = deque()
        self._usual = 1.0  # seconds that a speech takes
        self.speaking = 0

    @property
    def waiting(self) -> int:
        return len(self._turns)

    async def enter(self) -> Ticket:
        """Wait for a place, in the order in which one came; Refusal 429 where there will be none soon."""
        if self.speaking < self._places and not self._turns:
            self.speaking += 1
        elif len(self._turns) < self._queue and self._wait_s() <= self._patience:
            await self._wait()
        else:
            raise self.busy()
        return Ticket(monotonic())

    def leave(self, ticket: Ticket) -> None:
        """Give the place to whoever has waited longest."""
        self._usual += 0.2 * (monotonic() - ticket.since - self._usual)
        self._pass_on()

    def _wait_s(self) -> float:
        """Seconds after which one who comes now may speak, as it looks."""
        return self._usual * (self.waiting + 1) / self._places

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await asyncio.wait_for(turn, self._patience)
        except TimeoutError:
            raise self.busy() from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it came too late
            raise
        finally:
            if turn in self._turns:
                self._turns.remove(turn)

    def _pass_on(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.speaking -= 1

    def busy(self) -> Refusal:
        """What is said to who comes when there are too many, with the seconds after which another may come."""
        seconds = max(1, math.ceil(self._wait_s()))
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"All {self._places} places are taken and {self.waiting} wait: try again in {seconds} s.",
            code="rate_limit_exceeded",
            headers={"Retry-After": str(seconds)},
        )
