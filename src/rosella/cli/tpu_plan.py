"""What a pod will take and cost, shown before it begins."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rosella.cli.tpu_pods import say
from rosella.errors import UserError

if TYPE_CHECKING:
    from rosella.cloud.pod import Pod
    from rosella.training.plan.prices import Prices


def hourly_prices(pod: Pod, prices: Prices) -> dict[str, float]:
    """Dollars for an hour of each of the pod's accelerators; a budget of money needs all."""
    from rosella.training.plan.hardware import find

    hourly: dict[str, float] = {}
    for name in pod.accelerators:
        hardware = find(name.replace("v5litepod", "v5e"))
        if price := prices.chip_hour.get(hardware.chip.name):
            hourly[name] = price.price * hardware.chips
        elif pod.budget.money is not None:
            raise UserError(
                f"No price of {name} is known: give yours with --prices, or limit budget.hours instead."
            )
    return hourly


@dataclass(frozen=True)
class Read:
    """What the training reads in an epoch, as far as that is known: from where, and how many bytes."""

    export: str | None = None
    size: float = 0.0


def show_plan(pod: Pod, prices: Prices, recipe: Path | None, hours: float | None) -> Read:
    """Show what the training takes on the slice that is wished for."""
    from rosella.cli import plan
    from rosella.recipes import load_recipe
    from rosella.training.recipe import Recipe

    named, overrides = _trained_by(pod.command)
    path = recipe or named
    if path is None or not path.is_file():
        say("There is no plan, since the command names no recipe that is a file here: --recipe names it.")
        return Read()
    hardware = pod.accelerators[0].replace("v5litepod", "v5e")
    loaded = load_recipe(Recipe, path, overrides)
    try:
        made = plan.make(loaded, hardware, prices, hours, region=None)
    except UserError as trouble:
        say(f"There is no plan: {trouble}")
        return Read(loaded.data.export)
    plan.show(made)
    if made.headroom < 0:
        raise UserError(f"{path} does not fit {hardware}: see above what to lower.")
    return Read(loaded.data.export, made.storage.shards)


def _trained_by(command: str) -> tuple[Path | None, list[str]]:
    """The recipe of a `rosella train` in a shell script, and what it changes."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return None, []
    for at, pair in enumerate(pairwise(words)):
        if pair == ("rosella", "train") and at + 2 < len(words):
            rest = words[at + 3 :]
            overrides = [word for word in rest if "=" in word and not word.startswith("-")]
            return Path(words[at + 2]), overrides
    return None, []


def check_buckets(pod: Pod, prices: Prices, read: Read) -> None:
    """Refuse a bucket, the pod's or the export's, that lies in another region, or say what is to be known of it."""
    from rosella.cloud.bucket import check_region

    for url in dict.fromkeys([read.export or pod.bucket, pod.bucket]):
        if said := check_region(url, pod.zones, read.size, prices.egress_gib.price, pod.any_region):
            say(said)


def confirm(pod: Pod, hourly: dict[str, float], yes: bool) -> None:
    money = f" ${pod.budget.money:,.2f}" if pod.budget.money is not None else ""
    hours = f" {pod.budget.hours:g} h of slices" if pod.budget.hours is not None else ""
    limit = " or".join(filter(None, (money, hours)))
    each = ", ".join(f"{name} (${price:,.2f} an hour)" for name, price in hourly.items()) or ", ".join(
        pod.accelerators
    )
    kind = "spot" if pod.spot else "on demand"
    print(f"{each}, {kind}, in {', '.join(pod.zones)}; at most{limit}.")
    if not yes:
        typer.confirm("Begin?", abort=True)
