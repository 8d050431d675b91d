from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rosella.errors import UserError
from rosella.model.config import dia_1_6b
from rosella.model.flops import training_flops
from rosella.training.plan import planning
from rosella.training.plan.compiling import Memory
from rosella.training.plan.estimate import parameters
from rosella.training.plan.hardware import GIB, find
from rosella.training.plan.prices import load_prices
from rosella.training.plan.search import Found, Tried
from training import tiny


@pytest.fixture(autouse=True)
def small(monkeypatch):
    config = replace(tiny.config(), codec="mini")
    monkeypatch.setattr(planning, "start_config", lambda recipe: config)


@pytest.fixture
def told(monkeypatch):
    """A search that finds this."""

    def finds(needed, *largest, room=10):
        found = Found(Memory(needed * GIB, 0, needed * GIB), True, room * GIB, list(largest))
        monkeypatch.setattr(planning, "search", lambda layout, note: found)

    return finds


def tried(remat, rows):
    return Tried(remat, rows, 9 * GIB, False)


def planned(hardware="h100", hours=None, region=None, **changes):
    recipe = tiny.recipe("none", **changes)
    return planning.plan(recipe, find(hardware), load_prices(None), hours, region)


def test_thirty_seconds_of_dia_take_the_known_number_of_operations():
    assert training_flops(dia_1_6b(), 2584, 400) / 1e12 == pytest.approx(22.37, abs=0.01)


def test_time_and_money_follow_from_work_chips_peak_and_use(told):
    told(1, tried("none", 4))
    one, eight = planned(), planned("h100x8")
    assert one.step_seconds == pytest.approx(one.flops / (989e12 * 0.40))
    assert one.cost.epoch_hours == pytest.approx(one.work.flops / one.work.filled / (989e12 * 0.40) / 3600)
    assert eight.cost.epoch_hours == pytest.approx(one.cost.epoch_hours / 8)
    assert eight.cost.epoch_price == pytest.approx(one.cost.epoch_price)
    assert one.cost.run_price == pytest.approx(one.cost.run_hours * 3.00)
    assert one.cost.run_hours == pytest.approx(one.cost.epoch_hours * 8 / one.work.steps)


def test_a_chip_without_a_price_has_a_plan_without_money(told):
    told(1)
    cost = planned("l40s").cost
    assert (cost.price, cost.run_price, cost.epoch_price) == (None, None, None)


def test_checkpoints_are_three_numbers_for_each_weight(told):
    told(1)
    found = planned()
    assert found.storage.checkpoint == pytest.approx(12 * found.parameters, abs=8)
    assert found.storage.checkpoints == 2 * found.storage.checkpoint


@pytest.mark.parametrize(
    ("largest", "change"),
    [
        ([tried("none", 1), tried("full", 4)], "set remat=full"),
        (
            [tried("none", 1), tried("full", 2)],
            r"lower it to data\.batch_size=2, or keep the batch with accumulate=2",
        ),
        ([], "lower data.max_frames, or take hardware with more memory"),
    ],
)
def test_what_does_not_fit_says_by_how_much_and_what_to_change(told, largest, change):
    told(13, *largest)
    found = planned()
    assert found.headroom == -3 * GIB and not found.to_dict()["fits"]
    (sentence,) = found.advice
    assert "does not fit on h100 by 3.0 GiB a chip" in sentence
    assert re.search(change, sentence)


def test_parts_are_no_advice_where_the_sum_of_their_gradients_has_no_room(told):
    weights = parameters(tiny.config()) * 4 / GIB
    told(7, tried("full", 2), room=6 * weights)  # the state, gradients and a row, but no second gradients
    (sentence,) = planned().advice
    assert sentence.endswith("with remat=full lower it to data.batch_size=2.")


def test_recomputing_for_nothing_is_told(told):
    told(5, tried("none", 4), tried("full", 8))
    assert any("remat=none leaves room too" in sentence for sentence in planned(remat="full").advice)
    assert planned(remat="none").advice == []


def test_rows_that_the_devices_do_not_divide_are_told(told):
    told(5, tried("none", 4))
    assert planned("h100x8").advice == [
        "4 of 8 rows of the longest batch are empty: make them a multiple of 8."
    ]


def test_a_bucket_elsewhere_is_told_with_its_price(told, monkeypatch):
    told(1)
    monkeypatch.setattr(planning, "region_of", lambda export: "europe-west4")
    (sentence,) = planned(region="us-central2-b").advice
    assert "none lies in europe-west4, the accelerators in us-central2-b" in sentence and "$" in sentence
    assert planned(region="europe-west4").advice == []
    assert planned().advice == []  # where they stand is not known


def test_what_the_model_cannot_take_is_refused_before_anything_is_compiled(told):
    told(1)
    data = {**tiny.recipe("none").data.model_dump(), "max_frames": 900}
    with pytest.raises(UserError, match=r"max_frames 900 needs 903 decoder positions, the model has 64"):
        planned(data=data)
    with pytest.raises(UserError, match=r"mesh\.fsdp is 7"):
        planned(mesh={"fsdp": 7})
