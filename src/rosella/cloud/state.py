"""What a pod has asked for, chosen, begun and paid, and the bucket that keeps it so that any machine can go on."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import fsspec
from pydantic import TypeAdapter

from rosella.errors import RosellaError
from rosella.failpoints import failpoint

LEASE = 120.0
"""Seconds of silence after which a supervisor counts as gone."""
KEPT = 20
"""States that stay in the bucket."""

Outcome = Literal["done", "budget", "failed", "mistaken", "asked"]
"""How a pod ends: trained, out of money or hours, given up, wrongly asked for, or taken down by a person."""


@dataclass(frozen=True)
class Request:
    """A slice that was asked for, until it is proven gone. `asked` is when *create* was last called, unix seconds."""

    name: str
    zone: str
    accelerator: str
    asked: float
    listed: bool = False
    """Whether the cloud has told of it."""
    missing: float | None = None
    """Since when the list of its zone has been without it."""
    doomed: float | None = None
    """Since when it is wanted no more, because it failed, was lost, or another was chosen: it is deleted."""

    @property
    def wanted(self) -> bool:
        return self.doomed is None


@dataclass(frozen=True)
class Bill:
    """One slice's time, from the first to the last moment it was billed; `price` in dollars an hour where it is known."""

    name: str
    zone: str
    accelerator: str
    price: float | None
    since: float
    until: float
    open: bool = True
    switched: bool = False
    """Whether its hosts end it themselves when nobody looks after it."""


@dataclass(frozen=True)
class Attempt:
    """One try of the command on a slice; `begun` when all hosts have started it."""

    id: str
    slice: str
    since: float
    begun: bool = False


@dataclass(frozen=True)
class Ending:
    """Why a pod ends, and how far its end is."""

    outcome: Outcome
    why: str
    since: float
    stopped: bool = False
    """Whether the training was told and has had its time to save."""
    proven: float | None = None
    """When nothing was left in any zone."""


@dataclass(frozen=True)
class Training:
    """How far the command is, from the metrics of its run."""

    step: int | None = None
    saved: int | None = None
    """The newest step whose time was counted, which is that of a checkpoint."""
    productive: float | None = None
    """Seconds that went into steps which are kept."""


@dataclass(frozen=True)
class PodState:
    """All that must outlive a supervisor. Times are unix seconds by the supervisor's clock."""

    pod: Mapping[str, Any]
    """The keys of `pod.yaml`."""
    prices: Mapping[str, float] = field(default_factory=dict)
    """Dollars for an hour of each accelerator, as the plan had them."""
    trains: bool = True
    """False: hold a slice and run nothing."""
    generation: int = 0
    """How many slices were asked for so far; it numbers them."""
    requests: tuple[Request, ...] = ()
    chosen: str | None = None
    """The slice that is used."""
    size: int = 0
    """Which of the pod's accelerators is asked for now, and since when."""
    size_since: float | None = None
    losses: int = 0
    """Slices lost or refused since the training last got on; and when the next is asked for."""
    again: float = 0.0
    closed: Mapping[str, float] = field(default_factory=dict)
    """Zones without quota, and until when they are left out."""
    prepared: str | None = None
    """The slice whose hosts have all they need."""
    version: str = ""
    """Which of those in the bucket its hosts run."""
    attempt: Attempt | None = None
    tries: int = 0
    """Failures of the command since it last got on; `jobs` numbers every try."""
    jobs: int = 0
    training: Training = Training()
    unwell: float | None = None
    """Since when a host has not answered, or the chosen slice is not whole."""
    preemptions: int = 0
    bills: tuple[Bill, ...] = ()
    looked: Mapping[str, float] = field(default_factory=dict)
    """When each zone last answered what is there."""
    told: tuple[str, ...] = ()
    """What was said and need not be said again."""
    ending: Ending | None = None

    @property
    def ended(self) -> bool:
        """Whether the pod has ended, and nothing of it was left."""
        return self.ending is not None and self.ending.proven is not None


@dataclass(frozen=True)
class Held:
    """A state as the bucket has it: its number, who wrote it and when by his clock."""

    number: int
    holder: str
    written: float
    state: PodState

    @property
    def who(self) -> str:
        """The holder as people know him."""
        return self.holder.rpartition("-")[0]


class Away(RosellaError):
    """The bucket gives no answer."""


class Overtaken(RosellaError):
    """Somebody else looks after the pod now."""


_HELD = TypeAdapter(Held)


class Store:
    """The states of one pod, each a numbered file that is made once: of two who make the same number, one has won.

    A supervisor makes number after number; where it finds one that is not its own, it stops. For several threads.
    """

    def __init__(self, home: str, clock: Callable[[], float] = time.time, holder: str | None = None) -> None:
        self._files, self._folder = fsspec.core.url_to_fs(f"{home}/state")
        self._clock = clock
        self.holder = holder or f"{_whoami()}-{secrets.token_hex(4)}"
        self._mine: Held | None = None
        self._lock = threading.Lock()

    def newest(self) -> Held | None:
        """What was written last; None for a pod that nobody has begun."""
        with _answering(self._folder):
            numbers = self._numbers()
            return self._read(numbers[-1]) if numbers else None

    def take(self, seen: Held | None, state: PodState) -> None:
        """Become the supervisor, after what was `seen` of the one before; Overtaken where that has gone on meanwhile."""
        with self._lock:
            self._write(seen.number if seen else 0, state)

    def commit(self, state: PodState) -> None:
        """Write a state down; Overtaken where somebody else has. Also says that the supervisor is alive."""
        with self._lock:
            assert self._mine is not None
            self._write(self._mine.number, state)

    def renew(self) -> None:
        """Say that the supervisor is alive."""
        with self._lock:
            assert self._mine is not None
            self._write(self._mine.number, self._mine.state)

    def _write(self, before: int, state: PodState) -> None:
        held = Held(before + 1, self.holder, self._clock(), state)
        with _answering(self._folder):
            held = self._create(held)
            # Numbers long past are deleted, so that a sleeper may make one of them again.
            newest = self._numbers()[-1]
            if newest != held.number:
                raise self._overtaken(newest)
            self._mine = held
            if held.number > KEPT:
                with suppress(FileNotFoundError):
                    self._files.rm_file(self._path(held.number - KEPT))
        failpoint("after-state")

    def _create(self, held: Held) -> Held:
        """What was written; under a later number where the answer to our last one was lost."""
        data = _HELD.dump_json(held)
        try:
            self._create_only(self._path(held.number), data)
        except FileExistsError:
            found = self._read(held.number)
            if found.holder != self.holder:
                raise self._overtaken(found.number) from None
            return self._create(replace(held, number=held.number + 1))
        return held

    def _create_only(self, path: str, data: bytes) -> None:
        if "file" not in self._files.protocol:
            self._files.pipe_file(path, data, mode="create")
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = f"{self._folder}/.{os.getpid()}-{threading.get_ident()}.tmp"
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        finally:
            os.unlink(temporary)

    def _overtaken(self, number: int) -> Overtaken:
        return Overtaken(
            f"{self._read(number).who} looks after this pod now; this one stops and leaves everything as it is."
        )

    def _numbers(self) -> list[int]:
        self._files.invalidate_cache()
        try:
            names = self._files.ls(self._folder, detail=False)
        except FileNotFoundError:
            return []
        stems = (name.rpartition("/")[2].removesuffix(".json") for name in names)
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def _read(self, number: int) -> Held:
        return _HELD.validate_json(self._files.cat_file(self._path(number)))

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"


@contextmanager
def _answering(folder: str) -> Generator[None]:
    try:
        yield
    except (RosellaError, FileExistsError):
        raise
    except Exception as error:  # whatever a store or the network says
        text = " ".join(str(error).split()) or type(error).__name__
        raise Away(f"The bucket does not answer ({folder}: {text}); it is asked again.") from error


def _whoami() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
