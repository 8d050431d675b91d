"""What a pod's supervisor can do, and what it sees before it decides."""

from __future__ import annotations

from dataclasses import dataclass

from rosella.cloud.launch import HostState
from rosella.cloud.slices import Slice
from rosella.cloud.state import Attempt, Request, Training


@dataclass(frozen=True)
class Create:
    """Ask for a slice."""

    request: Request


@dataclass(frozen=True)
class Delete:
    """Delete a slice and its request."""

    name: str
    zone: str


@dataclass(frozen=True)
class Prepare:
    """Bring version and secrets to every host of a slice, and the switch that ends it when nobody looks after it."""

    slice: Slice


@dataclass(frozen=True)
class Start:
    """Start the command on all hosts of a slice."""

    slice: Slice
    attempt: Attempt


@dataclass(frozen=True)
class Stop:
    """Tell the command to stop on all hosts, and wait until it has saved."""

    slice: Slice
    attempt: Attempt


@dataclass(frozen=True)
class Say:
    """Tell the person."""

    sentence: str


Act = Create | Delete | Prepare | Start | Stop | Say


@dataclass(frozen=True)
class Seen:
    """What a round saw. Zones that did not answer tell nothing about their slices."""

    now: float
    slices: tuple[Slice, ...] = ()
    """The pod's, in all zones that `answered`."""
    answered: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    """Names of requests that *create* may still bring."""
    hosts: tuple[HostState, ...] | None = None
    """How the attempt does on the chosen slice; None where nobody looked."""
    training: Training | None = None
