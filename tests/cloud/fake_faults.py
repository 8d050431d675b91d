"""What goes wrong between a program and a cloud: one answer, or some of all that are given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Verb = Literal[
    "create-request", "delete-request", "get-request", "list-requests", "get-node", "list-nodes",
    "update-node", "delete-node", "list-operations", "token",
]  # fmt: skip
Kind = Literal["status", "unheard", "lost", "hang", "late", "garbage", "partial"]


@dataclass
class Fault:
    """One answer that goes wrong, or `times` of them, once `after` have gone well.

    - status: refused with `status` and `said`, nothing is done
    - unheard: the connection breaks before anything is done
    - lost: it is done, then the connection breaks
    - hang: it is done, and no answer ever comes
    - late: a request that is created `seconds` later, whatever is deleted meanwhile
    - garbage: a page of a network that wants a password, with status 200 or another
    - partial: a list that says it is not whole, and is empty
    """

    verb: Verb | Literal["*"]
    kind: Kind
    times: int = 1
    after: int = 0
    zone: str = ""
    name: str = ""
    status: int = 0
    said: str = "The service is currently unavailable."
    state: str = ""
    """The API's word for `status`, where it is not the usual one."""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    def befalls(self, verb: Verb, zone: str, name: str) -> bool:
        if self.verb not in ("*", verb) or (self.zone or zone) != zone or (self.name or name) != name:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


def misfortunes(seed: int, rate: float) -> Callable[[Verb], Fault | None]:
    """For `World.chaos`: of all answers this part goes wrong, in ways that a seed decides."""
    chance = random.Random(seed)
    ways: list[Callable[[], Fault]] = [
        lambda: Fault("*", "status", status=503),
        lambda: Fault("*", "status", status=429, said="Too many requests per minute.", headers={"Retry-After": "3"}),
        lambda: Fault("*", "status", status=500, said="Internal error."),
        lambda: Fault("*", "unheard"),
        lambda: Fault("*", "lost"),
        lambda: Fault("*", "garbage"),
    ]  # fmt: skip
    return lambda verb: chance.choice(ways)() if verb != "token" and chance.random() < rate else None
