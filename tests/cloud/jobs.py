"""A version that is nothing, and jobs of it: what tests of hosts have them run."""

from __future__ import annotations

import shlex

from cloud.fake_ssh import until
from rosella.cloud.hosts import Installing, OpenSsh
from rosella.cloud.launch import Job, look, prepare
from rosella.cloud.slices import Slice
from rosella.cloud.version import Version

VERSION = Version("rosella_tts-1.0-py3-none-any.whl", b"the bytes of a wheel\n", b"numpy==2.0\n")
PATIENT = """
trap 'echo saving; sleep 0.1; echo saved; exit 143' TERM
echo begun >> times
echo up
while :; do sleep 0.05; done
"""
"""A training as it obeys SIGTERM, run by a shell of its own."""


def install(
    shell: OpenSsh, held: Slice, secrets: dict[str, bytes] | None = None, version: Version = VERSION
) -> None:
    """Ask until every host has installed the version."""

    def installed() -> bool:
        try:
            prepare(shell, held, version, secrets or {})
        except Installing:
            return False
        return True

    until(installed)


def a_job(command: str = PATIENT, name: str = "1") -> Job:
    return Job(name, VERSION.name, f"sh -c {shlex.quote(command)}")


def states(shell: OpenSsh, held: Slice, job: Job) -> list[str]:
    return [each.state for each in look(shell, held, job)]


def all_up(shell: OpenSsh, held: Slice, job: Job) -> None:
    until(lambda: all(each.tail.endswith(b"up\n") for each in look(shell, held, job)))
    assert all(each.silent is not None and 0 <= each.silent < 300 for each in look(shell, held, job))
