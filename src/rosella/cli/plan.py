"""`rosella plan`: what a recipe takes on some hardware, before it is paid for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.numbers import counted

if TYPE_CHECKING:
    from rosella.training.plan.planning import Plan
    from rosella.training.plan.prices import Prices
    from rosella.training.plan.search import Tried
    from rosella.training.recipe import Recipe

GIB, GB = 2**30, 1e9


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see the folder recipes.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    hardware: Annotated[
        str, typer.Option(help="Such as v4-32, v5e-16, h100, h200x8, or here: this machine.")
    ] = "here",
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="Of speech, where there is no export yet.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Your own prices, as YAML; see docs/plan.md.")] = None,
    region: Annotated[str | None, typer.Option(help="Where the accelerators stand.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a recipe takes: memory, the largest batch, time, money, storage. TPUs need not be there."""
    from rosella.recipes import load_recipe
    from rosella.training.plan.prices import load_prices
    from rosella.training.recipe import Recipe

    wanted, listed = load_recipe(Recipe, recipe, overrides or []), load_prices(prices)
    found = make(wanted, hardware, listed, hours, region)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1, default=str))
    else:
        show(found)


def make(recipe: Recipe, hardware: str, prices: Prices, hours: float | None, region: str | None) -> Plan:
    """What a recipe takes on some hardware by name, told on standard error while it is found out."""
    from rosella.training.plan.hardware import HERE_NAME, find
    from rosella.training.plan.planning import plan

    if hardware != HERE_NAME:
        import jax

        jax.config.update(
            "jax_platforms", "cpu"
        )  # what is planned for another machine takes no card of this one
    place = find(hardware, recipe.compute_dtype)
    return plan(
        recipe, place, prices, hours, region, lambda sentence: print(sentence, file=sys.stderr, flush=True)
    )


def show(made: Plan) -> None:
    """The plan as tables on the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for title, rows in (("Step", _step(made)), ("Memory of a chip", _memory(made)), ("Cost", _cost(made))):
        table = Table.grid(padding=(0, 2, 0, 2))
        for name, value in rows:
            table.add_row(name, value)
        console.print(f"[bold]{title}[/]", table, "", sep="\n")
    for sentence in made.advice:
        console.print(sentence, markup=False)


def _step(made: Plan) -> list[tuple[str, str]]:
    data, fsdp, tensor = made.mesh
    longest, rows = made.longest, made.longest.rows
    chip = made.hardware.chip
    return [
        ("hardware", f"{made.hardware.name}: {made.hardware.chips} x {chip.name}"),
        ("mesh", f"data {data} x fsdp {fsdp} x tensor {tensor}"),
        ("model", f"{made.parameters:,} parameters"),
        (
            "longest batch",
            f"{counted(rows, 'row')} of {longest.frames:,} frames and {longest.text_bytes:,} bytes",
        ),
        (
            "on a chip",
            f"{counted(made.rows, 'row')} at a time, {counted(made.accumulate, 'part')}, remat {made.remat}",
        ),
        ("useful work", f"{made.flops / 1e12:,.1f} TFLOP, {made.flops / rows / 1e12:.2f} a row"),
        ("time", f"{made.step_seconds:,.2f} s at {chip.utilisation:.0%} of {chip.peak / 1e12:,.0f} TFLOP/s"),
        ("", f"({chip.source})"),
    ]


def _memory(made: Plan) -> list[tuple[str, str]]:
    memory, room = made.found.memory, made.found.room
    parts = [("arguments", memory.arguments), ("temporaries", memory.temporaries)]
    known = [(name, f"{value / GIB:.2f} GiB") for name, value in parts if value is not None]
    how = "as compiled" if made.found.compiled else "estimated"
    verdict = "headroom" if made.headroom >= 0 else "too much by"
    return [
        *known,
        ("together", f"{memory.needed / GIB:.2f} of {room / GIB:.2f} GiB, {how}"),
        (verdict, f"{abs(made.headroom) / GIB:.2f} GiB"),
        *(("largest batch", _largest(tried, made)) for tried in made.found.largest),
    ]


def _largest(tried: Tried, made: Plan) -> str:
    rows = tried.rows * made.mesh[0] * made.mesh[1] * made.accumulate
    how = "compiled" if tried.compiled else "estimated"
    return f"remat {tried.remat}: {counted(tried.rows, 'row')}, {rows} in all; {tried.needed / GIB:.1f} GiB {how}"


def _cost(made: Plan) -> list[tuple[str, str]]:
    work, cost, kept = made.work, made.cost, made.storage
    price = cost.price
    return [
        ("data", f"{work.source}: {work.utterances:,} utterances, {work.hours:,.1f} h, {work.filled:.0%} of frames filled"),
        ("an epoch", f"{work.steps:,} steps, {cost.epoch_hours:,.2f} h{_dollars(cost.epoch_price)}"),
        ("the run", f"{cost.run_steps:,} steps, {cost.run_hours:,.2f} h{_dollars(cost.run_price)}"),
        ("price", f"${price.price:.2f} a chip-hour, {price.date}: {price.source}" if price else "not in the list"),
        ("storage", f"shards {kept.shards / GB:,.2f} GB, the model {kept.model / GB:,.1f} GB, checkpoints "
                    f"{kept.checkpoints / GB:,.1f} GB, {kept.checkpoint / GB:,.1f} each: ${kept.month:,.2f} a month"),
    ]  # fmt: skip


def _dollars(price: float | None) -> str:
    return "" if price is None else f", ${price:,.2f}"
