"""Hosts of the nodes of a fake cloud, and a training on them that takes steps by the clock; without processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cloud.fake_world import FakeNode, World
from rosella.cloud.hosts import BadHost, Unanswered
from rosella.cloud.launch import HostState
from rosella.cloud.slices import Slice
from rosella.cloud.state import Attempt, Training

PACE = 10.0
"""Seconds for a step."""
EVERY = 6
"""Steps between checkpoints."""


@dataclass
class Running:
    """A command on the hosts of one node. `code` is how it ended."""

    attempt: str
    node: int
    since: float
    first: int
    until: float | None = None
    code: int | None = None
    lost: bool = False


class FakeCrew:
    """A `Crew` whose training is a chain of hashes; `saved` is the bucket that outlives every slice."""

    def __init__(self, world: World, steps: int) -> None:
        self.world, self.steps = world, steps
        self.saved: tuple[int, str] = (0, "")
        self.productive = 0.0
        self.jobs: dict[str, Running] = {}
        self.starts = 0
        self.beats: list[float] = []
        self.most_at_once = 0
        self.ends_with: Callable[[Running, int], int | None] = lambda job, step: None
        """The exit code of a command after a step, where it ends by itself before its time."""
        self.trouble: Callable[[str, Slice], None] = lambda what, slice: None
        """Raises what befalls `prepare`, `start`, `look` or `stop`."""
        self.silent: set[int] = set()
        """Hosts that give no answer, by number."""
        self._prepared: set[int] = set()
        world.watchers.append(self._watch)

    def prepare(self, slice: Slice) -> None:
        self.trouble("prepare", slice)
        self._prepared.add(self._node(slice).number)

    def start(self, slice: Slice, attempt: Attempt) -> None:
        self.trouble("start", slice)
        node = self._node(slice)
        assert node.number in self._prepared, "a command was started on hosts without a version"
        if attempt.id in self.jobs:
            return
        self._advance()
        self.starts += 1
        self.jobs[attempt.id] = Running(attempt.id, node.number, self.world.clock(), self.saved[0])
        self.most_at_once = max(self.most_at_once, sum(job.until is None for job in self.jobs.values()))

    def look(self, slice: Slice, attempt: Attempt) -> Sequence[HostState]:
        self.trouble("look", slice)
        node = self._node(slice)
        self._advance()
        job = self.jobs.get(attempt.id)
        here = job is not None and job.node == node.number
        state: Literal["never", "running", "ended"] = "never"
        if job and here:
            state = "running" if job.until is None else "ended"
        return [
            HostState(host, "unanswered")
            if host.number in self.silent
            else HostState(host, state, job.code if job and here else None, b"its last words\n")
            for host in slice.hosts
        ]

    def stop(self, slice: Slice, attempt: Attempt) -> None:
        self.trouble("stop", slice)
        self._node(slice)
        self._advance()
        job = self.jobs.get(attempt.id)
        if job and job.until is None:
            self._save(job, self._reached(job))
            self._close(job, self.world.clock(), 143)

    def beat(self, slice: Slice) -> None:
        self.beats.append(self.world.clock())

    def training(self, slice: Slice) -> Training | None:
        return Training(self.saved[0], self.saved[0], self.productive)

    def _node(self, slice: Slice) -> FakeNode:
        """The machines, where they answer."""
        here = [node for node in self.world.ready() if node.name == slice.name]
        if not here:
            raise Unanswered(slice.hosts[0], "connection refused")
        return here[0]

    def _watch(self, what: Literal["ready", "gone"], node: FakeNode) -> None:
        """Machines that are taken away take with them what was not saved."""
        if what == "gone":
            self._advance()
            for job in self.jobs.values():
                if job.node == node.number and job.until is None:
                    job.lost = True
                    self._close(job, self.world.clock(), None)

    def _advance(self) -> None:
        for job in self.jobs.values():
            if job.until is None:
                self._run(job, self._reached(job))

    def _run(self, job: Running, reached: int) -> None:
        for step in range(self.saved[0] + 1, min(reached, self.steps) + 1):
            if step % EVERY == 0 or step == self.steps:
                self._save(job, step)
            code = 0 if step == self.steps else self.ends_with(job, step)
            if code is not None:
                self._close(job, job.since + (step - job.first) * PACE, code)
                return
        if job.first == self.steps:  # nothing was left to do
            self._close(job, job.since, 0)

    def _reached(self, job: Running) -> int:
        return min(self.steps, job.first + int((self.world.clock() - job.since) / PACE))

    def _save(self, job: Running, step: int) -> None:
        self.productive += (step - self.saved[0]) * PACE
        self.saved = step, weights(step, *self.saved)

    def _close(self, job: Running, when: float, code: int | None) -> None:
        job.until, job.code = when, code


def weights(step: int, known: int = 0, before: str = "") -> str:
    """Of a training after so many steps: each step's follow from those before."""
    for each in range(known + 1, step + 1):
        before = hashlib.sha256(f"{before} {each}".encode()).hexdigest()
    return before


def busy(slice: Slice) -> BadHost:
    """What a host says whose chips another process holds."""
    return BadHost(slice.hosts[0], "/dev/vfio/0: Device or resource busy")
