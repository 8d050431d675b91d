"""A version and a job on every host of a slice: installed, started on all or on none, looked at, stopped.

What a host does stands in `host.sh`, which is sent to it. Everything may be asked twice, and a connection may break off
at any moment: nothing runs twice.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rosella.cloud.asking import ANSWER, HOME, ask, ask_bytes, leave, leave_script, settled, words
from rosella.cloud.hosts import BadHost, Installing, Shell, Unanswered, on_all
from rosella.cloud.slices import Host, Slice
from rosella.cloud.version import Version
from rosella.errors import RosellaError, UserError

_BEGINS = 120
"""Seconds, by a host's own clock, in which an order to begin may arrive; one that comes later is an old one."""
_TAIL = 4096
"""Bytes of a log's end that are looked at."""
_PAUSE = 5.0
"""Seconds before a connection that broke off is tried again."""


@dataclass(frozen=True)
class Job:
    """What runs on every host, and where: in a directory below the home there."""

    id: str
    """Never used again: a job that was stopped or failed to start is not started anew."""
    version: str
    """The name of the one to run; its programs come first in the PATH."""
    command: str
    """For `sh`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = f"{HOME}/work"
    coordinator: int | None = None
    """A port of the first host: where set, every host is told how they find each other (JAX_COORDINATOR_ADDRESS)."""


@dataclass(frozen=True)
class HostState:
    """How a job does on a host."""

    host: Host
    state: Literal["never", "running", "ended", "unanswered"]
    code: int | None = None
    """Of one that ended; None where it was killed with all that could have noted it."""
    tail: bytes = b""
    """The end of its log, which is `size` bytes long."""
    size: int = 0
    silent: float | None = None
    """Seconds since it wrote anything, by the host's own clock."""
    clock: float | None = None
    """Unix seconds by the host's clock."""
    why: str = ""
    """Of one that gave no answer."""


def read_secrets(paths: Sequence[Path]) -> dict[str, bytes]:
    """Files that only their owner can read, by name. Raises UserError."""
    secrets: dict[str, bytes] = {}
    for path in paths:
        if not path.is_file():
            raise UserError(f"The secret {path} is not there: give the path of a file.")
        if path.stat().st_mode & 0o077:
            raise UserError(f"Others on this machine can read the secret {path}: chmod 600 {path}")
        if path.name in secrets:
            raise UserError(f"Two secrets are named {path.name}: on the hosts each needs a name of its own.")
        secrets[path.name] = path.read_bytes()
    return secrets


def prepare(shell: Shell, held: Slice, version: Version, secrets: Mapping[str, bytes]) -> None:
    """Have every host hold the same version and the secrets, by name; takes minutes, of which each call waits for none.

    Raises Installing until all hosts have it; NotReady where one was not reached or could not, and is tried again by the
    next call; BadHost where one never will.
    """
    installed = settled(on_all(held.hosts, lambda host: _prepare(shell, host, version, secrets)))
    odd = [host for host, what in zip(held.hosts, installed, strict=True) if what != installed[0]]
    if odd:
        raise BadHost(
            odd[0], "other versions of packages were installed than on host 0: pin them in constraints.txt"
        )


def start(shell: Shell, held: Slice, job: Job) -> list[float]:
    """Begin a job on every host, or on none; returns each host's clock, unix seconds.

    A job that began is not begun again. After NotReady or BadHost it runs on no host that answers, and begins on none any
    more: the next attempt takes another id. What else of ours still runs there is told to end.
    """
    clocks = settled(on_all(held.hosts, lambda host: _ready(shell, held, host, job)))
    expires = {host: clock + _BEGINS for host, clock in zip(held.hosts, clocks, strict=True)}
    begun = on_all(held.hosts, lambda host: _begin(shell, host, job, expires[host]))
    if any(isinstance(each, RosellaError) for each in begun):
        stop(shell, held, job, grace=0)
    settled(begun)
    return clocks


def look(shell: Shell, held: Slice, job: Job) -> list[HostState]:
    """How the job does on each host."""
    return _states(held, on_all(held.hosts, lambda host: _look(shell, host, job)))


def stop(shell: Shell, held: Slice, job: Job, grace: float) -> list[HostState]:
    """Ask the job to end on all hosts at once, and end it after `grace` seconds; it never begins after."""

    def end(host: Host) -> HostState:
        ask(shell, host, "stop", job.id, str(int(grace)), timeout=grace + ANSWER)
        return _look(shell, host, job)

    return _states(held, on_all(held.hosts, end))


def _after_a_while() -> bool:
    time.sleep(_PAUSE)
    return True


def follow(
    shell: Shell, host: Host, job: Job, offset: int = 0, again: Callable[[], bool] = _after_a_while
) -> Iterator[bytes]:
    """The log of a job on a host from a byte on, as it grows, until the job ends.

    Where the connection breaks off, `again` waits and says whether to go on there.
    """
    while True:
        try:
            for block in shell.stream(host, words("follow", job.id, str(offset))):
                offset += len(block)
                yield block
            return
        except Unanswered:
            if not again():
                return


def _prepare(shell: Shell, host: Host, version: Version, secrets: Mapping[str, bytes]) -> str:
    """What is installed: a hash of the names and versions of all packages."""
    leave_script(shell, host)
    for name, content in secrets.items():
        leave(shell, host, content, f"secrets/{name}", mode=0o600)
    if secrets:
        ask(shell, host, "secrets")
    install = ("install", version.name, version.wheel_name, version.sha256, version.extras)
    said = ask(shell, host, *install).split()
    if said == ["absent"]:
        leave(shell, host, version.constraints, f"{version.name}/constraints.txt")
        leave(shell, host, version.wheel, f"{version.name}/{version.wheel_name}")
        said = ask(shell, host, *install).split()
    if said[:1] != ["ready"]:
        raise Installing(host, f"{version.name} is being installed")
    return said[1]


def _begin(shell: Shell, host: Host, job: Job, expires: float) -> None:
    order = ("begin", job.id, str(int(expires)))
    try:
        ask(shell, host, *order)
    except Unanswered:
        ask(shell, host, *order)  # the answer may have been lost alone, and nothing begins twice


def _ready(shell: Shell, held: Slice, host: Host, job: Job) -> float:
    leave(shell, host, _run_file(job, held, host), f"jobs/{job.id}/run", mode=0o600)
    return float(ask(shell, host, "ready", job.id, job.version))


def _run_file(job: Job, held: Slice, host: Host) -> bytes:
    """What a host runs. A shell that traps a signal waits for the command, which gets it too, and ends as that does."""
    environment = dict(job.environment)
    if job.coordinator is not None:
        environment |= {
            "JAX_COORDINATOR_ADDRESS": f"{held.hosts[0].internal}:{job.coordinator}",
            "JAX_NUM_PROCESSES": str(len(held.hosts)),
            "JAX_PROCESS_ID": str(host.number),
        }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join(
        [
            *lines,
            f'PATH="$HOME/{HOME}/{job.version}/.venv/bin:$PATH"',
            f"cd && mkdir -p {shlex.quote(job.directory)} && cd {shlex.quote(job.directory)} || exit",
            "trap : TERM INT HUP",
            job.command,
            "",
        ]
    ).encode()


def _look(shell: Shell, host: Host, job: Job) -> HostState:
    told, _, tail = ask_bytes(shell, host, "look", job.id, str(_TAIL)).partition(b"\n\n")
    facts = dict(line.split(" ", 1) for line in told.decode().splitlines())
    number = {name: float(facts[name]) for name in ("clock", "code", "size", "silent") if name in facts}
    code = int(number["code"]) if "code" in number else None
    state: Literal["never", "running", "ended"] = facts["state"]  # pyright: ignore[reportAssignmentType]
    return HostState(
        host, state, code, tail, int(number.get("size", 0)), number.get("silent"), number.get("clock")
    )


def _states(held: Slice, told: Sequence[HostState | RosellaError]) -> list[HostState]:
    return [
        HostState(host, "unanswered", why=str(each)) if isinstance(each, RosellaError) else each
        for host, each in zip(held.hosts, told, strict=True)
    ]
