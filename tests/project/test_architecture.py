"""docs/architecture.md against the imports and the tree: rooms, floors, and tests beside what they test."""

from __future__ import annotations

import re
import tomllib

import grimp
import pytest

from support import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
ACROSS = ("project", "faults")
"""Folders of tests that are about many modules together, or about the whole."""


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which rooms each room imports."""
    graph = grimp.build_graph("rosella")
    rooms = {name.split(".")[1] for name in graph.find_children("rosella")} - {"__main__"}

    def imported(room: str) -> set[str]:
        inside = {f"rosella.{room}", *graph.find_descendants(f"rosella.{room}")}
        found = {name for module in inside for name in graph.find_modules_directly_imported_by(module)}
        return {name.split(".")[1] for name in found if "." in name} - {room}

    return {room: imported(room) for room in rooms}


def table() -> dict[str, set[str] | None]:
    """What each room may import besides the ground; None for anything."""
    allowed: dict[str, set[str] | None] = {}
    for line in PAGE.splitlines():
        if match := re.match(r"\| `(\w+)` \| .* \| (.*) \|$", line):
            allowed[match[1]] = None if match[2] == "anything" else set(re.findall(r"`(\w+)`", match[2]))
    evaluation = allowed["evaluate"]
    assert allowed["report"] == {"evaluate"} and evaluation is not None
    return {**allowed, "report": {"evaluate", *evaluation}}


def ground() -> set[str]:
    (line,) = (line for line in PAGE.splitlines() if line.startswith("| the ground:"))
    return set(re.findall(r"`(\w+)`", line))


def test_every_room_is_in_the_table_and_in_the_picture(imports):
    assert set(imports) == set(table()) | ground()
    picture = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    assert set(imports) - {"lazily", "failpoints"} <= set(re.findall(r">(\w+)</text>", picture))
    pipeline = {
        path.name for path in (ROOT / "src/rosella/corpus").iterdir() if (path / "__init__.py").exists()
    }
    assert pipeline - {"diarization", "operate"} <= set(re.findall(r">(\w+)</text>", picture))


def test_rooms_import_what_the_table_says(imports):
    allowed = table()
    wrong = {
        room: sorted(found - may - ground())
        for room, found in imports.items()
        if (may := allowed.get(room, set())) is not None and found - may - ground()
    }
    assert wrong == {}


def test_the_contracts_have_the_floors_of_the_page(imports):
    (floors,) = (contract for contract in CONTRACTS if contract["type"] == "layers")
    assert floors["exhaustive"] and {
        name for floor in floors["layers"] for name in re.findall(r"\w+", floor)
    } == {
        *imports,
        "__main__",
    }
    (circles,) = (contract for contract in CONTRACTS if contract["type"] == "acyclic_siblings")
    assert circles["ancestors"] == ["rosella", "rosella.**"]
    assert not any(key.startswith("ignore") for contract in CONTRACTS for key in contract)


def test_files_that_the_page_names_are_there():
    for name in re.findall(r"`([\w/]+\.py)`", PAGE):
        places = [ROOT / name, ROOT / "src/rosella" / name, *(ROOT / "src/rosella").glob(f"corpus/*/{name}")]
        assert any(place.is_file() for place in [*places, *(ROOT / "src/rosella").glob(f"asr/*/{name}")]), (
            name
        )


def test_tests_stand_where_what_they_test_stands():
    source, tests = ROOT / "src" / "rosella", ROOT / "tests"
    modules = {path.relative_to(source) for path in source.rglob("*.py")}
    beside = {path.with_name(f"test_{path.name}") for path in modules}
    beside |= {path.parent / f"test_{path.parent.name}.py" for path in modules if path.name == "__init__.py"}
    astray = {path.relative_to(tests) for path in tests.rglob("test_*.py")} - beside
    assert sorted(str(path) for path in astray if not set(path.parts) & set(ACROSS)) == []
