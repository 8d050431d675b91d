"""The machines of a fake cloud as processes: what it grants answers to the stand-in for ssh, what it takes away dies."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from cloud.conftest import ZONE
from cloud.fake_ssh import FakeHosts
from cloud.fake_world import Clock, FakeNode, World
from rosella.cloud.budget import spent
from rosella.cloud.crew import OverSsh
from rosella.cloud.google import Google
from rosella.cloud.pod import Pod
from rosella.cloud.state import PodState, Store
from rosella.cloud.supervisor import Supervisor
from rosella.cloud.version import Version

VERSION = Version("rosella_tts-0.1.0-py3-none-any.whl", b"the bytes of a wheel")


class RealHosts:
    """Hosts come and go with the nodes of a world whose clock runs. `environment` is of everything on them."""

    def __init__(self, world: World, hosts: FakeHosts, environment: Mapping[str, str]) -> None:
        self._hosts, self._environment = hosts, environment
        world.watchers.append(self._watch)

    def _watch(self, what: Literal["ready", "gone"], node: FakeNode) -> None:
        for _, address in node.addresses:
            if what == "ready":
                self._hosts.add(address).set_environment(**self._environment)
            else:
                self._hosts.remove(address)


class Preemptions:
    """Takes slices away, each so many seconds of the world after something `begins` on it, `count` in all."""

    def __init__(
        self, world: World, seed: int, count: int, after: tuple[float, float], begins: Callable[[str], bool]
    ) -> None:
        self._world, self._after, self._begins = world, after, begins
        self._chance, self._dies = random.Random(seed), dict[str, float]()
        self.left = count

    def __call__(self) -> None:
        for node in self._world.ready():
            now = self._world.clock()
            if node.name not in self._dies and self._begins(node.name):
                self._dies[node.name] = now + self._chance.uniform(*self._after)
            if self.left and now >= self._dies.get(node.name, now + 1):
                self.left -= 1
                state = self._chance.choice(["PREEMPTED", "TERMINATED", "STOPPED"])
                self._world.preempt(node.name, state, suspended=self._chance.random() < 0.5)


def look_after(
    folder: Path,
    world: World,
    google: Google,
    clock: Clock,
    hosts: FakeHosts,
    command: str,
    every_round: Callable[[], object],
    **keys: Any,
) -> tuple[PodState, list[str]]:
    """A pod from its first request to its end, on real processes; checks that nothing is left, double or unpaid."""
    values: dict[str, Any] = {
        "name": "dutch",
        "project": "project",
        "zones": [ZONE],
        "accelerators": ["v4-16"],
        "budget": {"hours": 1000},
        "bucket": str(folder),
        "source": {"wheel": "rosella.whl"},
        "command": command,
        "grace_seconds": 60,
    }
    pod = Pod.model_validate(values | keys)
    said: list[str] = []

    def sleep(seconds: float) -> None:
        every_round()
        time.sleep(seconds / clock.speed)

    crew = OverSsh(pod, VERSION, {}, lambda slice: hosts.shell())
    supervisor = Supervisor(pod, google, crew, Store(pod.home, clock), said.append, clock, sleep)
    supervisor.take(PodState(pod.model_dump(mode="json"), dict.fromkeys(pod.accelerators, 10.0)), None)
    ended = supervisor.run()
    assert world.left() == [] and world.most_at_once() == 1
    assert world.seconds() <= spent(ended.bills, clock(), 0).seconds + 1
    assert not hosts.hosts
    return ended, said
