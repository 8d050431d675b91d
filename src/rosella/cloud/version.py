"""The program every host is to run: one wheel, made once, and the versions of all it needs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rosella.errors import UserError


@dataclass(frozen=True)
class Version:
    """The bytes that go to every host; what they are called there follows from them alone."""

    wheel_name: str
    wheel: bytes
    constraints: bytes = b""
    """As pip reads them; without them, hosts that resolved otherwise are told apart after they are installed."""
    extras: str = "[tpu,cloud]"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.wheel).hexdigest()

    @property
    def name(self) -> str:
        """Of its directory on a host."""
        whole = hashlib.sha256(self.wheel + self.constraints + self.extras.encode()).hexdigest()
        return f"{self.wheel_name.split('-')[1]}-{whole[:12]}"


def version_of_wheel(path: Path) -> Version:
    """A wheel, with the `constraints.txt` that lies beside it, where one does."""
    if path.suffix != ".whl" or path.name.count("-") < 4 or not path.is_file():
        raise UserError(f"{path} is no wheel: give the path of a .whl file, as `pip wheel` names it.")
    beside = path.with_name("constraints.txt")
    return Version(path.name, path.read_bytes(), beside.read_bytes() if beside.exists() else b"")


def version_of_commit(repository: str, commit: str) -> Version:
    """The wheel of a commit, built here, so that hosts need neither git nor the right to read the repository."""
    with tempfile.TemporaryDirectory(prefix="rosella-version-") as folder:
        source = Path(folder, "source")
        _run("git", "init", "--quiet", str(source))
        _run("git", "-C", str(source), "fetch", "--quiet", "--depth", "1", "--", repository, commit)
        _run("git", "-C", str(source), "checkout", "--quiet", "FETCH_HEAD")
        _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(source))
        (wheel,) = Path(folder).glob("*.whl")
        if (source / "constraints.txt").exists():
            (source / "constraints.txt").rename(Path(folder, "constraints.txt"))
        return version_of_wheel(wheel)


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(f"There is no {words[0]} on this machine: install it, or give a wheel.") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise UserError(
            f"No wheel could be made of the repository: {said[-1] if said else words[0] + ' failed'}; "
            "look whether its address and commit are right, or give a wheel.",
            said,
        )
