"""Helpers that several test files share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rosella"


def python(*arguments: str, cwd: Path = ROOT, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run this Python with the package on its path, in `cwd`; the output comes back as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(),
        timeout=timeout,
        capture_output=True,
        text=True,
    )


def rosella(*arguments: str, cwd: Path = ROOT, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command `rosella` as a person would: in a process of its own."""
    return python("-m", "rosella", *arguments, cwd=cwd, timeout=timeout)


def environment() -> dict[str, str]:
    """The environment for commands that tests start; wide, so that no sentence is wrapped."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}


def free_port() -> int:
    """One of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def modules() -> list[str]:
    """The dotted names of all of the package's modules, from its files; Alembic's scripts are left out."""
    names = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__") and ".migrations" not in name]


def fill(folder: Path, leave: int = 0) -> None:
    """Take all space of a small disk but `leave` bytes, with a file `filler`."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave))
