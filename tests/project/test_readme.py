"""What README and documentation say is there, is there; every command of the README is run by CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from run_readme import SMALL, commands
from support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_readme_command_is_run_by_ci() -> None:
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "tools/run_readme.py" in ci  # runs every command that begins with `rosella`
    others = [command for command in commands() if not command.startswith("rosella ")]
    assert others == ["make demo", "make test", ". .venv/bin/activate"]
    assert "make demo STEPS=" in ci
    assert "\nmake test\n" in ci


def test_no_substitution_for_the_readme_is_left_over() -> None:
    words = {word for command in commands() for word in command.split()}
    assert set(SMALL) <= words


def test_the_layout_of_the_readme_is_the_repository() -> None:
    tree = re.search(r"^```\n(src/rosella/\n.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert tree is not None
    lines = tree[1].splitlines()
    inside = {line.split()[0].rstrip("/") for line in lines if line.startswith("  ")}
    outside = {line.split()[0].rstrip("/") for line in lines[1:] if not line.startswith(" ")}
    assert [name for name in sorted(outside) if not (ROOT / name).is_dir()] == []
    package = ROOT / "src" / "rosella"
    there = {path.name for path in package.iterdir() if not path.name.startswith("__")}
    assert inside == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    local = [target for target in targets if not target.startswith(("http://", "https://"))]
    assert [target for target in local if not _leads_somewhere(page, target)] == []


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.M) if anchor else []
    return not anchor or anchor in [
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
    ]
