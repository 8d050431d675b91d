"""The machines of a slice, spoken to with OpenSSH's own client: one command, one file, one stream, and all at once.

Commands are short and may be given twice; what must outlive a connection is started on the host and looked at later.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from rosella.cloud.slices import Host
from rosella.errors import RosellaError, UserError

_LOST = 255
"""What `ssh` ends with when it cannot say how the command did."""
_AT_ONCE = 64
"""Hosts that are spoken to side by side."""
_BLOCK = 1 << 16
_SLOWEST = 1e6
"""Bytes a second that a connection brings at least."""

_Answer = TypeVar("_Answer")


class NotReady(RosellaError):
    """A host cannot do now what was asked of it; it may later."""

    def __init__(self, host: Host, why: str) -> None:
        super().__init__(f"Host {host.number} ({host.address}): {why}")
        self.host, self.why = host, why


class Installing(NotReady):
    """A host is on its way."""


class Unanswered(NotReady):
    """A host said nothing, in time or at all: what was asked may have happened or not."""


class Denied(Unanswered):
    """A host does not let this person in (yet: it takes a while until it knows a key)."""


class BadHost(RosellaError):
    """A host that will not get better by itself: its slice is to be given back."""

    def __init__(self, host: Host, why: str) -> None:
        super().__init__(f"Host {host.number} ({host.address}): {why}")
        self.host, self.why = host, why


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: bytes
    error: str


class Shell(Protocol):
    """Speaks to hosts; every method raises Unanswered where a host gives no answer."""

    def run(self, host: Host, command: str, stdin: bytes = b"", timeout: float = 60) -> Done:
        """How a command ended, whatever its exit code. Seconds count from the call."""
        ...

    def put(self, host: Host, content: bytes, path: str, mode: int = 0o644) -> None:
        """Write a file, whole or not at all; `path` is relative to the home there. NotReady where it cannot be written."""
        ...

    def stream(self, host: Host, command: str) -> Iterator[bytes]:
        """What a command says, as it says it, until it ends."""
        ...


@dataclass(frozen=True)
class OpenSsh:
    """`ssh` as this machine has it; what the person's ~/.ssh/config says holds, for a proxy or a jump host.

    Give each slice its own `known_hosts`: addresses come back as other machines.
    """

    user: str
    known_hosts: Path
    key: Path | None = None
    """By default what the agent holds."""
    connect_seconds: int = 15

    def command(self, host: Host) -> list[str]:
        """The words that begin a session on a host, as a person may type them too."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(self.connect_seconds),
            "ServerAliveInterval": str(self.connect_seconds),
            "ServerAliveCountMax": "2",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": _quoted(self.known_hosts),
            "LogLevel": "ERROR",
        }
        if self.key:
            options |= {"IdentityFile": _quoted(self.key), "IdentitiesOnly": "yes"}
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", *words, f"{self.user}@{host.address}"]

    def run(self, host: Host, command: str, stdin: bytes = b"", timeout: float = 60) -> Done:
        with _client([*self.command(host), command], subprocess.PIPE) as process:
            try:
                out, error = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                raise Unanswered(host, f"no answer within {timeout:g} s") from None
        if _lost(process.returncode):
            raise _unanswered(host, error)
        return Done(process.returncode, out, _last_line(error))

    def put(self, host: Host, content: bytes, path: str, mode: int = 0o644) -> None:
        # A connection that breaks off looks like the end of the file, so the host counts the bytes.
        command = (
            f"umask 077; path={shlex.quote(path)}; new=$path.$$; "
            f'mkdir -p "$(dirname "$path")" && cat > "$new" && [ "$(wc -c < "$new")" -eq {len(content)} ] && '
            f'chmod {mode:o} "$new" && mv -f "$new" "$path" || {{ rm -f "$new"; exit 1; }}'
        )
        done = self.run(host, command, content, timeout=60 + len(content) / _SLOWEST)
        if done.code:
            raise NotReady(host, f"cannot write {path} ({done.error or 'not all of it arrived'})")

    def stream(self, host: Host, command: str) -> Generator[bytes]:
        with _client([*self.command(host), command], subprocess.DEVNULL) as process:
            assert process.stdout and process.stderr
            while block := os.read(process.stdout.fileno(), _BLOCK):
                yield block
            error = process.stderr.read()
        if _lost(process.returncode):
            raise _unanswered(host, error)


def on_all(hosts: Sequence[Host], act: Callable[[Host], _Answer]) -> list[_Answer | RosellaError]:
    """What `act` gives for each host, or the error it raised, in their order; none waits for another."""

    def attempt(host: Host) -> _Answer | RosellaError:
        try:
            return act(host)
        except UserError:
            raise
        except RosellaError as error:
            return error

    with ThreadPoolExecutor(min(len(hosts), _AT_ONCE) or 1, thread_name_prefix="host") as pool:
        return list(pool.map(attempt, hosts))


@contextmanager
def _client(words: Sequence[str], stdin: int) -> Generator[subprocess.Popen[bytes]]:
    """A client that is gone after the block, however that is left."""
    pipe = subprocess.PIPE
    try:
        # In a session of its own: a person's Ctrl-C must not break off what is under way.
        process = subprocess.Popen(words, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True)
    except FileNotFoundError:
        raise UserError("There is no ssh on this machine: install OpenSSH's client.") from None
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
        process.wait()


def _lost(code: int) -> bool:
    """Whether a client's exit code says nothing of the command's."""
    return code == _LOST or code < 0


def _unanswered(host: Host, error: bytes) -> Unanswered:
    said = _last_line(error)
    return (Denied if "Permission denied" in said else Unanswered)(host, said or "the connection broke off")


def _last_line(error: bytes) -> str:
    lines = error.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _quoted(path: Path) -> str:
    """As the options of `ssh` want it, which may hold blanks."""
    return f'"{path}"'
