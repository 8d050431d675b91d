"""What a supervisor has the hosts of a slice do, and hears of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from rosella.cloud import launch, switch
from rosella.cloud.budget import productive
from rosella.cloud.hosts import NotReady, Shell
from rosella.cloud.launch import HostState, Job
from rosella.cloud.pod import Pod
from rosella.cloud.slices import Slice
from rosella.cloud.state import Attempt, Training
from rosella.cloud.switch import Switch
from rosella.cloud.version import Version


class Crew(Protocol):
    """The hosts of a slice. Every method may be called twice; NotReady and BadHost are as in `launch`."""

    def prepare(self, slice: Slice) -> None:
        """Have all hosts hold the version, the secrets and the switch; raises NotReady until they do."""
        ...

    def start(self, slice: Slice, attempt: Attempt) -> None:
        """Begin the command on all hosts, or on none."""
        ...

    def look(self, slice: Slice, attempt: Attempt) -> Sequence[HostState]:
        """How it does on each."""
        ...

    def stop(self, slice: Slice, attempt: Attempt) -> None:
        """Tell it to end, and wait until it has saved."""
        ...

    def beat(self, slice: Slice) -> None:
        """Tell the hosts that somebody looks after them."""
        ...

    def training(self, slice: Slice) -> Training | None:
        """How far the run is; None where that cannot be told now."""
        ...


class OverSsh:
    """A `Crew` reached by a shell for each slice."""

    def __init__(
        self, pod: Pod, version: Version, secrets: Mapping[str, bytes], shell: Callable[[Slice], Shell]
    ) -> None:
        self._pod, self._version, self._secrets, self._shell = pod, version, secrets, shell

    def prepare(self, slice: Slice) -> None:
        pod, shell = self._pod, self._shell(slice)
        launch.prepare(shell, slice, self._version, self._secrets)
        switch.arm(
            shell, slice, Switch(pod.orphan_minutes, pod.project, pod.grace_seconds, not slice.adopted)
        )
        self.beat(slice)

    def start(self, slice: Slice, attempt: Attempt) -> None:
        launch.start(self._shell(slice), slice, self.job(attempt))

    def look(self, slice: Slice, attempt: Attempt) -> Sequence[HostState]:
        return launch.look(self._shell(slice), slice, self.job(attempt))

    def stop(self, slice: Slice, attempt: Attempt) -> None:
        launch.stop(self._shell(slice), slice, self.job(attempt), self._pod.grace_seconds)

    def beat(self, slice: Slice) -> None:
        switch.beat(self._shell(slice), slice)

    def training(self, slice: Slice) -> Training | None:
        """From the metrics as the first host sees them."""
        assert self._pod.run
        file = shlex.quote(f"{self._pod.run}/metrics.jsonl")
        words = f'cd {launch.Job.directory} && grep -a \'"split": "time"\' {file}; tail -n 2 {file}'
        try:
            told = self._shell(slice).run(slice.hosts[0], words).out
        except NotReady:
            return None
        return productive(_records(told))

    def job(self, attempt: Attempt) -> Job:
        """What is run, as the launcher takes it."""
        pod = self._pod
        return Job(attempt.id, self._version.name, pod.command, pod.environment, coordinator=pod.coordinator)


def _records(lines: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for line in lines.splitlines():
        with suppress(ValueError):  # a line that is being written
            records.append(json.loads(line))
    return records
