from __future__ import annotations

import datetime

import pytest
import yaml

from rosella.errors import UserError
from rosella.training.plan import hardware
from rosella.training.plan.prices import load_prices

OWN = {"price": 1.5, "date": datetime.date(2026, 1, 2), "source": "our contract"}


def test_every_price_says_when_and_where_it_was_found():
    prices = load_prices(None)
    assert {"v4", "v5e", "v5p", "v6e", "h100", "h200", "a100", "rtx4090"} <= prices.chip_hour.keys()
    chips = {hardware.find(name).chip.name for name in hardware.names()}
    assert prices.chip_hour.keys() <= chips
    for price in (*prices.chip_hour.values(), prices.storage_gib_month, prices.egress_gib):
        assert price.price > 0 and price.date.year >= 2022 and price.source


def test_a_list_of_ones_own_replaces_the_shipped_one(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"chip_hour": {"v4": OWN}, "storage_gib_month": OWN, "egress_gib": OWN}))
    assert load_prices(path).chip_hour["v4"].price == 1.5
    assert "h100" not in load_prices(path).chip_hour


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "are not valid YAML"),
        ("- 1", "not usable: the whole"),
        ("chip_hour: {v4: {price: -1, date: 2026-01-01, source: x}}", r"chip_hour\.v4\.price"),
        ("chip_hour: {v4: {price: 1, source: x}}", r"chip_hour\.v4\.date: Field required"),
    ],
)
def test_a_bad_list_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence) as error:
        load_prices(path)
    assert "\n" not in str(error.value)


def test_a_list_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="Cannot read the prices .*none.yaml: No such file"):
        load_prices(tmp_path / "none.yaml")
