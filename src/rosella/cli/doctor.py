"""`rosella doctor`: is this machine ready, and what is there to use?

Every fact is one `Check`; packages and extras are listed by the installed distribution's own metadata.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from rosella import threads
from rosella.devices import SAID, share_card
from rosella.errors import RosellaError
from rosella.numbers import percent

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from rich.table import Table

DISTRIBUTION = "rosella-tts"
NATIVE = (
    "av",
    "jax",
    "pyarrow",
    "soundfile",
    "torch",
)  # their shared libraries can fail where metadata looks fine
EMBEDDED = ("codec", "recogniser", "model", "podcast", "demo.yaml")
LOW_DISK = 2e9  # bytes; the demo and its environment need about as much
SIGNS = {"ok": "[green]✓[/]", "absent": "[dim]–[/]", "warning": "[yellow]![/]", "broken": "[red]✗[/]"}

State = Literal["ok", "absent", "warning", "broken"]


@dataclass(frozen=True)
class Check:
    """One fact about this machine; `fix` says what to do when it is not ok."""

    name: str
    value: str
    state: State = "ok"
    fix: str | None = None


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: bool = typer.Option(False, "--json", help="Print the facts as JSON.")) -> None:
    """Show versions, devices, optional parts and free disk; exit 1 if something required is broken."""
    report = {title: list(examine()) for title, examine in SECTIONS.items()}
    broken = [check for checks in report.values() for check in checks if check.state == "broken"]
    if as_json:
        sections = {title: [asdict(check) for check in checks] for title, checks in report.items()}
        print(json.dumps({"ok": not broken, "sections": sections}, indent=2))
    else:
        _show(report, broken)
    raise typer.Exit(1 if broken else 0)


def machine() -> Iterable[Check]:
    supported = sys.version_info[:2] in [(3, 11), (3, 12)]
    fix = None if supported else "Install Python 3.11 or 3.12."
    yield Check("Python", platform.python_version(), "ok" if supported else "broken", fix)
    yield Check("System", f"{platform.system()} {platform.machine()}")
    yield Check("Cores", str(threads.cores()))
    yield Check("Memory", _memory())
    yield from (_disk(name, path) for name, path in (("Disk, here", Path.cwd()), ("Disk, cache", _cache())))


def packages() -> Iterable[Check]:
    if _version(DISTRIBUTION) is None:
        yield Check(DISTRIBUTION, "not installed", "broken", "In its folder: pip install --editable .")
        return
    yield from (_package(requirement) for requirement in _requirements(DISTRIBUTION))


def devices() -> Iterable[Check]:
    beside = share_card()
    for name in NATIVE:
        try:
            importlib.import_module(name)
        except Exception as error:
            problem = f"does not load: {' '.join(str(error).split())[:200]}"
            yield Check(name, problem, "broken", _install("--force-reinstall", name))
    for name, find in (("JAX", _jax_devices), ("PyTorch", _torch_device)):
        try:
            yield Check(name, find())
        except Exception as error:
            yield Check(name, f"finds no device: {' '.join(str(error).split())[:200]}", "broken")
    if beside is not None:
        yield Check("Sharing", _sharing(beside))


def _sharing(beside: str) -> str:
    """Who gets what of a card that both frameworks use."""
    jax_part = next(float(os.environ[name]) for name in SAID if name in os.environ)
    rest = "the CPU: codec and recogniser" if beside == "cpu" else "the rest: codec and recogniser"
    return f"JAX {percent(jax_part)} of each card, PyTorch {rest}"


def embedded_family() -> Iterable[Check]:
    from rosella import mini

    for name in EMBEDDED:
        try:
            path = mini.path(name)
        except RosellaError as error:
            yield Check(name, "missing", "broken", str(error))
        else:
            yield Check(name, _size(sum(file.stat().st_size for file in [path, *path.rglob("*")])))


def optional_parts() -> Iterable[Check]:
    if _version(DISTRIBUTION) is None:
        return
    for extra in metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []:
        if all(_satisfied(part) for part in _requirements(DISTRIBUTION, extra)):
            yield Check(extra, "installed")
        else:
            yield Check(extra, "not installed", "absent", _install(f"{DISTRIBUTION}[{extra}]"))


SECTIONS: dict[str, Callable[[], Iterable[Check]]] = {
    "Machine": machine,
    "Devices": devices,
    "Embedded family": embedded_family,
    "Packages": packages,
    "Optional parts": optional_parts,
}


def _requirements(distribution: str, extra: str = "") -> list[Requirement]:
    """What `distribution` asks for on this Python; with `extra`, only what that extra adds."""
    from packaging.requirements import Requirement

    asked = [Requirement(line) for line in metadata.requires(distribution) or []]
    wanted = [r for r in asked if r.marker is None or r.marker.evaluate({"extra": extra})]
    if not extra:
        return wanted
    always = {str(r) for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})}
    return [r for r in wanted if str(r) not in always]


def _satisfied(requirement: Requirement) -> bool:
    """True if the package and what its own extras add (`jax[tpu]`) are installed in fitting versions."""
    version = _version(requirement.name)
    if version is None or not requirement.specifier.contains(version, prereleases=True):
        return False
    return all(_satisfied(r) for extra in requirement.extras for r in _requirements(requirement.name, extra))


def _package(requirement: Requirement) -> Check:
    version = _version(requirement.name)
    if _satisfied(requirement):
        return Check(requirement.name, version or "")
    problem = "not installed" if version is None else f"{version}, but {requirement.specifier} is needed"
    fix = _install(f"{requirement.name}{requirement.specifier}")
    return Check(requirement.name, problem, "broken", fix)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _install(*arguments: str) -> str:
    """The pip command for the environment this runs in."""
    pip = Path(sys.executable).with_name("pip")
    if shutil.which("pip") == str(pip):
        pip = Path("pip")
    elif pip.is_relative_to(Path.cwd()):
        pip = pip.relative_to(Path.cwd())
    return shlex.join([str(pip), "install", *arguments])


def _jax_devices() -> str:
    import jax

    kinds = [device.device_kind for device in jax.devices()]
    counts = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
    return f"{jax.default_backend()}: {counts}"


def _torch_device() -> str:
    import torch

    from rosella.devices import device

    if (best := device().type) != "cuda":
        return best
    return f"cuda: {torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"


def _memory() -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return _size(total)
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return f"{_size(total)}, {_size(free)} free"


def _cache() -> Path:
    """Where models from a hub are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("HF_HOME", home / "huggingface")).expanduser()


def _disk(name: str, path: Path) -> Check:
    there = next(folder for folder in [path, *path.parents] if folder.exists())
    free = shutil.disk_usage(there).free
    low = free < LOW_DISK
    fix = f"Free some space: at least {_size(LOW_DISK)} is wise." if low else None
    return Check(name, f"{_size(free)} free at {path}", "warning" if low else "ok", fix)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _show(report: dict[str, list[Check]], broken: list[Check]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for title, checks in report.items():
        console.print(Text(title, style="bold"), _table(title, checks), "", sep="\n")
    if broken:
        names = ", ".join(check.name for check in broken)
        console.print(f"[red]Not ready:[/] {names}. Do what stands beside each ✗, then run this again.")
    else:
        console.print("[green]Ready.[/]")


def _table(title: str, checks: list[Check]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    if title == "Packages":  # good ones share a paragraph: only what is wrong deserves a line of its own
        good = ", ".join(f"{check.name} {check.value}" for check in checks if check.state == "ok")
        table.add_row(f"  {SIGNS['ok']}", Text(good))
        checks = [check for check in checks if check.state != "ok"]
    for check in checks:
        advice = Text(check.fix or "", style="dim", overflow="fold")
        table.add_row(f"  {SIGNS[check.state]}", check.name, Text(check.value), advice)
    return table
