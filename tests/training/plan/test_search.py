from __future__ import annotations

from dataclasses import replace

import pytest

from rosella.training.order import Bucket
from rosella.training.plan import layout as layouts
from rosella.training.plan import search as searching
from rosella.training.plan.compiling import Memory
from rosella.training.plan.estimate import Estimate
from rosella.training.plan.hardware import Chip, Hardware
from rosella.training.plan.layout import Layout
from tiny_dia import CONFIG
from training import tiny

ROOM = 10_000_000
SLICE = Hardware("v4-8", Chip("v4", 1e12, ROOM, 0.4, "nobody"), 4, {"topology_name": "v4:2x2x1"})
CARD = replace(SLICE, name="h100", topology=None)


ROW = {"none": 1_000_000, "dots": 500_000, "full": 100_000}
"""What is estimated for a row."""


@pytest.fixture
def layout(monkeypatch):
    def estimated(recipe, *shape):
        return Estimate(500_000, 500_000, ROW[recipe.remat])

    monkeypatch.setattr(layouts, "estimate", estimated)
    return Layout(tiny.recipe("corpus", remat="full"), CONFIG, SLICE, Bucket(16, 24, 16))


@pytest.fixture
def compiler(monkeypatch):
    """A compiler for which a row takes so many bytes; returns what it was asked."""
    asked = []

    def tells(row):
        def ask(request):
            rows = request.rows // 4
            asked.append((request.recipe["remat"], rows))
            needed = 1_000_000 + rows * row[request.recipe["remat"]]
            return Memory(needed, 0, needed, ROOM if needed > ROOM else None)

        monkeypatch.setattr(searching, "ask", ask)
        return asked

    return tells


def quiet(sentence):
    pass


def test_the_recipe_is_compiled_and_for_each_policy_one_step_that_is_too_large(layout, compiler):
    asked = compiler(ROW)
    found = searching.search(layout, quiet)
    assert found.compiled and found.memory.needed == 1_400_000 and found.room == ROOM
    assert asked[0] == ("full", 4) and [remat for remat, _ in asked[1:]] == ["none", "dots", "full"]
    most = {tried.remat: tried.rows for tried in found.largest}
    assert most["full"] == 85  # 95 % of the room, less a million, by a tenth of one
    assert most["none"] in range(6, 9) and most["none"] < most["dots"] < most["full"]


def test_what_does_not_fit_is_known_by_the_compilers_own_numbers(layout, compiler):
    compiler(dict.fromkeys(("none", "dots", "full"), 4_000_000))
    found = searching.search(layout, quiet)
    assert found.memory.needed - found.room == 7_000_000
    assert [tried.rows for tried in found.largest if tried.remat == "full"] == [2]


def test_a_size_that_was_compiled_is_not_compiled_again(layout, compiler):
    asked = compiler(dict.fromkeys(("none", "dots", "full"), 2_750_000))
    found = searching.search(layout, quiet)
    assert [rows for remat, rows in asked if remat == "full"] == [4, 8]
    assert [tried.rows for tried in found.largest if tried.remat == "full"] == [3]


def test_nothing_more_is_compiled_when_time_is_up(layout, compiler, monkeypatch):
    asked = compiler(dict.fromkeys(("none", "dots", "full"), 100_000))
    monkeypatch.setattr(searching, "PATIENCE", 0.0)
    found = searching.search(layout, quiet)
    assert asked == [("full", 4)]
    assert not any(tried.compiled for tried in found.largest)


def test_a_card_is_estimated(layout):
    found = searching.search(replace(layout, hardware=CARD), quiet)
    assert not found.compiled and found.room == ROOM and found.memory.needed > 0
    most = {tried.remat: tried.rows for tried in found.largest}
    assert 1 < most["none"] < most["full"]


def test_the_devices_at_hand_are_compiled_for_but_not_searched(layout, monkeypatch):
    asked = []

    def answer(request):
        asked.append(request.rows)
        return Memory(12_000_000, 2_000_000, 10_000_000)

    monkeypatch.setattr(searching, "answer", answer)
    found = searching.search(replace(layout, hardware=replace(CARD, name="here")), quiet)
    assert found.compiled and asked == [16]
    assert [tried.rows for tried in found.largest if tried.remat == "full"] == [2]
