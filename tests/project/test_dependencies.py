"""What the code imports is what the project declares and pins: no more, no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import ROOT, SOURCE

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
CORE = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
OPTIONAL = {
    canonicalize_name(Requirement(line).name)
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra != "dev"
    for line in lines
}
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line[:1] != "#"
)


def imported(folder: Path) -> set[str]:
    """Top-level names of the modules that files below `folder` import, the standard library left out."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"rosella"}


def test_every_import_of_the_package_is_a_declared_dependency_and_the_other_way_round() -> None:
    providers = packages_distributions()
    used = {name: {canonicalize_name(part) for part in providers.get(name, [])} for name in imported(SOURCE)}
    absent = {
        name
        for name in used
        if any(extra == name or extra.startswith(f"{name}-") for extra in OPTIONAL - CORE)
    }
    declared = {name for name, distributions in used.items() if distributions & (CORE | OPTIONAL)}
    assert used.keys() - declared - absent == set()
    assert CORE - set().union(*used.values()) == set()


def test_everything_make_installs_is_pinned_to_one_version() -> None:
    pinned = {canonicalize_name(name) for name in PINS}
    assert CORE | {canonicalize_name(requirement.name) for requirement in DEV} <= pinned
    assert all(re.fullmatch(r"[\w.]+", version) for version in PINS.values())
    declared = [Requirement(line) for line in PROJECT["dependencies"]] + DEV
    versions = {canonicalize_name(name): version for name, version in PINS.items()}
    misfits = [r for r in declared if not r.specifier.contains(versions[canonicalize_name(r.name)])]
    assert misfits == []


def test_every_marker_marks_a_test() -> None:
    named = [marker.split(":")[0] for marker in SETTINGS["tool"]["pytest"]["ini_options"]["markers"]]
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"mark.{name}" not in tests] == []
