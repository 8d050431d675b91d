from __future__ import annotations

import pytest

from rosella.cloud.budget import goodput, productive, reckon, spent, with_farewell
from rosella.cloud.pod import FAREWELL, Budget
from rosella.cloud.slices import Slice
from rosella.cloud.state import Bill, Training

ZONE, OTHER, ALONE = "us-central2-b", "europe-west4-a", 3600.0
PRICES = {"v4-32": 51.52}


def slice_of(name: str, created: float | None, billed: bool = True, zone: str = ZONE) -> Slice:
    return Slice(name, zone, "active", created=created, accelerator="v4-32", billed=billed)


def look(bills, slices, now, looked=None, answered=(ZONE, OTHER)):
    return reckon(bills, slices, frozenset(answered), looked or {ZONE: now - 15}, PRICES, now, ALONE)


def test_a_slice_costs_from_its_first_to_its_last_second_and_nothing_after():
    bills = look((), [slice_of("a", 1000.0)], now=1010.0)
    bills = look(bills, [slice_of("a", 1000.0)], now=1900.0)
    assert spent(bills, 1900, ALONE).seconds == 900
    bills = look(bills, [], now=1915.0)
    paid = spent(bills, 99_999, ALONE)
    assert paid.seconds == 915 and paid.money == pytest.approx(51.52 * 915 / 3600)
    assert look(bills, [], now=5000.0) == bills


def test_what_waits_costs_nothing_and_two_at_once_cost_both():
    assert look((), [slice_of("a", 0.0, billed=False)], now=10.0) == ()
    bills = look((), [slice_of("a", 100.0), slice_of("b", 100.0, zone=OTHER)], now=100.0, looked={})
    assert spent(bills, 150, ALONE).seconds == 100


@pytest.mark.parametrize(
    ("created", "since"), [(995.0, 995.0), (None, 985.0), (10.0, 985.0), (5000.0, 985.0)]
)
def test_a_cloud_whose_clock_is_apart_is_not_believed(created, since):
    """Then a slice counts from the look before, when it was not there."""
    (bill,) = look((), [slice_of("a", created)], now=1000.0, looked={ZONE: 985.0})
    assert bill.since == since


def test_a_zone_that_does_not_answer_goes_on_costing():
    bills = look((), [slice_of("a", 1000.0)], now=1000.0)
    bills = look(bills, [], now=2000.0, answered=[OTHER])
    assert spent(bills, 3000, ALONE).seconds == 2000


def test_a_slice_that_ends_itself_costs_no_longer_than_it_was_left_alone():
    left = (Bill("a", ZONE, "v4-32", 51.52, 0.0, 100.0, switched=True),)
    assert spent(left, 9_000, ALONE).seconds == 100 + ALONE
    unready = (Bill("a", ZONE, "v4-32", 51.52, 0.0, 100.0),)
    assert spent(unready, 9_000, ALONE).seconds == 9_000


def test_what_saving_and_deleting_will_take_is_spent_already():
    bills = (Bill("a", ZONE, "v4-32", 36.0, 0.0, 3600.0),)
    before = with_farewell(bills, 3600, ALONE, grace=300)
    assert before.seconds == 3600 + 300 + FAREWELL and before.money == pytest.approx(36 + 4.8)
    assert before.exceeds(Budget(money=40)) and not before.exceeds(Budget(money=41))
    assert before.exceeds(Budget(hours=1.1)) and not before.exceeds(Budget(hours=1.2, money=41))


def test_without_a_price_only_hours_end_a_pod():
    bills = (Bill("a", ZONE, "v9-8", None, 0.0, 3600.0, open=False),)
    paid = spent(bills, 3600, ALONE)
    assert paid.money is None and not paid.exceeds(Budget(money=1)) and paid.exceeds(Budget(hours=1))


def line(step, seconds, kept, first_step):
    return {"split": "time", "step": step, "seconds": seconds, "productive": kept, "first_step": first_step}


def test_the_time_in_steps_adds_up_over_commands_however_long_each_took_to_begin():
    """A command's lines count from its own start; the second here needs longer for its first line than all of the first."""
    told = [
        {"split": "train", "step": 499},
        line(500, 900.0, 800.0, 60.0),
        line(1000, 1700.0, 1600.0, 60.0),
        line(1500, 2600.0, 700.0, 1800.0),
        {"split": "train", "step": 1510},
        line(1500, 2600.0, 700.0, 1800.0),
    ]
    found = productive(told)
    assert found == Training(step=1500, saved=1500, productive=2300.0)
    assert productive(told[:-1]).step == 1510 and productive([]) == Training()


def test_goodput_is_the_share_of_the_billed_time():
    bills = (Bill("a", ZONE, "v4-32", 1.0, 0.0, 1000.0, open=False),)
    paid = spent(bills, 1000, ALONE)
    assert goodput(Training(10, 10, 750.0), paid) == 0.75
    assert goodput(Training(), paid) is None and goodput(Training(1, 1, 5.0), spent((), 0, 0)) is None
