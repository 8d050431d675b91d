"""Machines of a slice that are folders and processes of this one, reached by a stand-in for `ssh`, with faults."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from rosella.cloud.hosts import OpenSsh
from rosella.cloud.slices import Host, Slice
from support import ROOT

_MACHINE = Path(__file__).with_name("machine")
_PASSED_ON = ("JAX_", "XLA_", "OMP_", "HF_")
_numbers = count()


class FakeHost:
    """A machine with a home of its own; its address is one of this machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, folder.name
        self.home = folder / "home"
        self.rosella = self.home / "rosella"
        self.chips = folder / "chips"
        for each in (self.home, self.chips, folder / "faults", folder / "met", folder / "bin"):
            each.mkdir(parents=True)
        self.set_python()
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        self.environment = {
            **passed_on,
            "HOME": str(self.home),
            "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "src"),
            "ROSELLA_CHIPS": f"{self.chips}/*",
            "ROSELLA_FAKE_PYTHON": sys.executable,
            "ROSELLA_FAKE_HOST": str(folder),
        }
        self._write_environment()

    def fault(self, what: str, on: str = "", always: bool = False) -> None:
        """What befalls the next command that holds `on` (no blanks at its ends), or each from now on.

        refuse, deny, hang (at connecting), hang-after (it ran, nobody hears of it), slow, drop-after (it ran to its end),
        drop-within (it runs on), cut-in-BYTES and cut-out-BYTES (of its input, of what it says), damage (of its input).
        """
        name = f"{next(_numbers):06d}" + ("-always" if always else "")
        new = self.folder / f"{name}.new"
        new.write_text(f"{what}\n{on}\n")
        new.rename(self.folder / "faults" / name)

    def mend(self) -> None:
        """No faults from now on."""
        for each in (self.folder / "faults").iterdir():
            each.unlink()

    def met(self) -> int:
        """How many faults befell commands."""
        return len(list((self.folder / "met").iterdir()))

    def asked(self) -> str:
        """Every command that was asked of it, as lists of processes showed them."""
        return (self.folder / "asked").read_text()

    def shift_clock(self, seconds: int) -> None:
        """Set its clock apart from this machine's."""
        self.set_program("date", f"echo $(($(/bin/date +%s) + {seconds}))")

    def set_python(self, script: str | None = None) -> None:
        """What its Pythons do: by default install nothing, but note it, and run the Python of the tests."""
        for name in ("python3.12", "python3.11", "python3"):
            if script is None:
                (self.folder / "bin" / name).unlink(missing_ok=True)
                (self.folder / "bin" / name).symlink_to(_MACHINE / "python")
            else:
                self.set_program(name, script)

    def set_program(self, name: str, script: str) -> None:
        """Have it run a shell's script instead of a program."""
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def set_environment(self, **values: Any) -> None:
        """Of everything that runs there from now on; values without blanks."""
        self.environment |= {name: str(value) for name, value in values.items()}
        self._write_environment()

    def processes(self) -> list[int]:
        """What runs there, zombies aside."""
        marked = f"ROSELLA_FAKE_HOST={self.folder}".encode()
        return [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if marked in _variables(pid)
        ]

    def die(self) -> None:
        """As a machine that is taken away: at once, with all that runs on it, and no answer any more."""
        self.fault("refuse", always=True)
        self.kill_all()

    def kill_all(self) -> None:
        """Whatever runs there, also what is started meanwhile."""
        while running := self.processes():
            for pid in running:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def _write_environment(self) -> None:
        (self.folder / "environment").write_text("\n".join(f"{k}={v}" for k, v in self.environment.items()))


class FakeHosts:
    """All machines of a test, below `folder`. Put `path` first in PATH, for this process and for those it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir(parents=True)
        (self.path / "ssh").symlink_to(_MACHINE / "ssh")
        self.hosts: dict[str, FakeHost] = {}

    def add(self, address: str) -> FakeHost:
        """A new machine, where there was another also."""
        self.remove(address)
        self.hosts[address] = FakeHost(self.folder / address)
        return self.hosts[address]

    def remove(self, address: str) -> None:
        if host := self.hosts.pop(address, None):
            host.die()
            shutil.rmtree(host.folder)

    def end(self) -> None:
        for address in list(self.hosts):
            self.remove(address)

    def shell(self) -> OpenSsh:
        return OpenSsh("someone", self.folder / "known_hosts")

    def slice(self, *addresses: str) -> Slice:
        """An active one of these machines, which are made."""
        for address in addresses:
            self.add(address)
        hosts = tuple(Host(number, address) for number, address in enumerate(addresses))
        return Slice("rosella-pod-1-zone", "zone", "active", hosts=hosts)


def until(met: Callable[[], Any], seconds: float = 60) -> Any:
    """What `met` gives as soon as it holds."""
    ends = time.monotonic() + seconds
    while not (value := met()):
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.02)
    return value


def _variables(pid: int) -> Sequence[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ()
