"""What a pod has cost, and how much of what was paid went into training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rosella.cloud.pod import FAREWELL, Budget
from rosella.cloud.slices import Slice
from rosella.cloud.state import Bill, Training


@dataclass(frozen=True)
class Spent:
    """Of all slices: how long they were billed, and dollars; None where a price is not known."""

    seconds: float
    money: float | None

    def exceeds(self, budget: Budget) -> bool:
        money = budget.money is not None and self.money is not None and self.money >= budget.money
        return money or (budget.hours is not None and self.seconds >= budget.hours * 3600)


def spent(bills: Iterable[Bill], now: float, alone: float) -> Spent:
    """Until `now`. A slice that nobody looked at for longer than `alone` seconds has ended itself, if it could."""
    paid = [(bill.price, _until(bill, now, alone) - bill.since) for bill in bills]
    known = all(price is not None for price, _ in paid)
    money = sum((price or 0.0) * seconds / 3600 for price, seconds in paid) if known else None
    return Spent(sum(seconds for _, seconds in paid), money)


def with_farewell(bills: Iterable[Bill], now: float, alone: float, grace: float) -> Spent:
    """What there will have been spent when every slice is told now to save within `grace` seconds, and to end."""
    return spent(bills, now + grace + FAREWELL, alone)


def reckon(
    bills: Sequence[Bill],
    slices: Iterable[Slice],
    answered: frozenset[str],
    looked: Mapping[str, float],
    prices: Mapping[str, float],
    now: float,
    alone: float,
) -> tuple[Bill, ...]:
    """The bills after a look at the `slices` of the zones that `answered`.

    `looked` is when each zone last answered before. A slice's first second is the cloud's where that lies between
    then and now, for clocks may be apart; its last is when it was first missed.
    """
    costly = {each.name: each for each in slices if each.billed}
    known = {bill.name for bill in bills}
    new = [each for name, each in costly.items() if name not in known]
    opened = [_open(each, looked.get(each.zone, now), prices, now) for each in new]
    return (*(_seen(bill, costly, answered, now, alone) for bill in bills), *opened)


def productive(records: Iterable[Mapping[str, Any]]) -> Training:
    """How far a training is, from the lines of its `metrics.jsonl`; each command's `time` lines count from its start."""
    total, before, step, saved = 0.0, None, None, None
    for record in records:
        if "step" in record:
            step = record["step"]
        if record.get("split") != "time":
            continue
        saved = record["step"]
        total += record["productive"]
        if before is not None and record.get("first_step") == before.get("first_step"):  # of the same command
            total -= before["productive"]
        before = record
    return Training(step, saved, total if before is not None else None)


def goodput(training: Training, paid: Spent) -> float | None:
    """The share of the billed time that went into steps which are kept."""
    if training.productive is None or not paid.seconds:
        return None
    return min(1.0, training.productive / paid.seconds)


def _until(bill: Bill, now: float, alone: float) -> float:
    if not bill.open:
        return bill.until
    return max(bill.until, min(now, bill.until + alone) if bill.switched else now)


def _open(slice: Slice, before: float, prices: Mapping[str, float], now: float) -> Bill:
    since = slice.created if slice.created is not None and before <= slice.created <= now else before
    return Bill(slice.name, slice.zone, slice.accelerator, prices.get(slice.accelerator), since, now)


def _seen(
    bill: Bill, costly: Mapping[str, Slice], answered: frozenset[str], now: float, alone: float
) -> Bill:
    if bill.zone not in answered:
        return bill
    # A slice that was taken away says again that it costs something, perhaps, while it is being deleted.
    if bill.name in costly and (bill.open or costly[bill.name].state != "deleting"):
        return replace(bill, until=max(bill.until, now), open=True)
    return replace(bill, until=_until(bill, now, alone), open=False)
