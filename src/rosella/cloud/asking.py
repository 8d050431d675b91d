"""What a host is asked to do: commands of `host.sh`, which is sent to it, and files it is left."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import TypeVar

from rosella.cloud.hosts import BadHost, Denied, Installing, NotReady, Shell, Unanswered
from rosella.cloud.slices import Host
from rosella.errors import RosellaError

HOME = "rosella"
"""On a host, below the home of the person: all that is kept there."""
ANSWER = 60.0
"""Seconds a host has to answer."""

_BAD = 3
"""What `host.sh` ends with on a host that will not get better."""

_WORST_FIRST: tuple[type[RosellaError], ...] = (BadHost, Denied, Unanswered, NotReady, Installing)

_Answer = TypeVar("_Answer")


def ask(shell: Shell, host: Host, *order: str, timeout: float = ANSWER) -> str:
    """What a host says to a command of `host.sh`. Raises NotReady, as which Unanswered counts, and BadHost."""
    return ask_bytes(shell, host, *order, timeout=timeout).decode(errors="replace")


def ask_bytes(shell: Shell, host: Host, *order: str, timeout: float = ANSWER) -> bytes:
    """The same, unread."""
    done = shell.run(host, words(*order), timeout=timeout)
    if done.code:
        why = done.error or f"{order[0]} ended with {done.code}"
        raise (BadHost if done.code == _BAD else NotReady)(host, why)
    return done.out


def words(*order: str) -> str:
    """A command of `host.sh` as a shell reads it."""
    return shlex.join(["sh", f"{HOME}/host.sh", *order])


def leave(shell: Shell, host: Host, content: bytes, path: str, mode: int = 0o644) -> None:
    """Write a file below `HOME`; a host on which nothing can be written is bad."""
    try:
        shell.put(host, content, f"{HOME}/{path}", mode)
    except Unanswered:
        raise
    except NotReady as error:
        raise BadHost(host, error.why) from error


def leave_script(shell: Shell, host: Host) -> None:
    """Without which a host can be asked nothing."""
    leave(shell, host, resource("host.sh"), "host.sh")


def settled(answers: Sequence[_Answer | RosellaError]) -> list[_Answer]:
    """All answers; raises the worst thing a host said, of several hosts the first one's."""
    errors = [each for each in answers if isinstance(each, RosellaError)]
    if errors:
        raise min(errors, key=_rank)
    return [each for each in answers if not isinstance(each, RosellaError)]


def _rank(error: RosellaError) -> int:
    return _WORST_FIRST.index(type(error)) if type(error) in _WORST_FIRST else len(_WORST_FIRST)


def resource(name: str) -> bytes:
    """A file of this package."""
    return files("rosella.cloud").joinpath(name).read_bytes()
