"""`plan`: what a recipe takes on some hardware: memory, time, money, storage, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from rosella.model.config import DiaConfig, dia_1_6b
from rosella.model.flops import training_flops
from rosella.regions import apart, region_of, toll
from rosella.training.mesh import check_mesh
from rosella.training.order import Bucket
from rosella.training.plan.compiler import require_libtpu
from rosella.training.plan.estimate import parameters, state_bytes
from rosella.training.plan.hardware import GIB, Hardware
from rosella.training.plan.layout import Layout
from rosella.training.plan.prices import Price, Prices
from rosella.training.plan.search import UNSEEN, Found, Note, Tried, search
from rosella.training.plan.workload import Workload, workload
from rosella.training.recipe import Recipe
from rosella.training.start import check_limits, start_config

KNOWN = ("nari-labs/Dia-1.6B", "nari-labs/Dia-1.6B-0626")
"""Models whose shape is known without their files."""


@dataclass(frozen=True)
class Cost:
    """Of the recipe's run and of one epoch; dollars where the chip has a price."""

    run_steps: int
    run_hours: float
    epoch_hours: float
    run_price: float | None
    epoch_price: float | None
    price: Price | None


@dataclass(frozen=True)
class Storage:
    """Bytes, and dollars for keeping them a month."""

    shards: int
    checkpoint: int
    checkpoints: int
    model: int
    month: float


@dataclass(frozen=True)
class Plan:
    """Memory is in bytes on one device; `rows` are those of a device at a time. `flops` are of a step, useful ones."""

    hardware: Hardware
    parameters: int
    mesh: tuple[int, int, int]
    longest: Bucket
    rows: int
    accumulate: int
    remat: str
    found: Found
    flops: float
    step_seconds: float
    work: Workload
    cost: Cost
    storage: Storage
    advice: list[str]

    @property
    def headroom(self) -> int:
        """Bytes that are left; below 0 what is missing."""
        left = self.found.room - self.found.memory.needed
        accepted = self.hardware.topology is not None and self.found.memory.room is None
        return max(left, 0) if accepted else left

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "headroom": self.headroom, "fits": self.headroom >= 0}


def plan(
    recipe: Recipe,
    hardware: Hardware,
    prices: Prices,
    hours: float | None = None,
    region: str | None = None,
    note: Note = lambda sentence: None,
) -> Plan:
    """What `recipe` takes on `hardware`; `note` hears what is being done.

    Without an export there are `hours` of speech, or as many as the recipe's steps see once. `region` is where the
    accelerators stand. UserError for what cannot be trained so.
    """
    config = model_config(recipe)
    check_limits(config, recipe.data)
    check_mesh(recipe.mesh, config)
    work = workload(recipe, config, hours)
    layout = Layout(recipe, config, hardware, work.longest)
    if hardware.topology:
        require_libtpu(hardware.name)
    found = search(layout, note)
    flops = step_flops(recipe, config, work)
    made = Plan(
        hardware,
        parameters(config),
        layout.mesh,
        work.longest,
        layout.rows,
        recipe.accumulate,
        recipe.remat,
        found,
        flops,
        seconds(flops, hardware),
        work,
        cost(recipe, hardware, work, prices),
        storage(recipe, config, work, prices),
        [],
    )
    return replace(made, advice=[*advice(made, layout), *far_away(recipe, hardware, work, prices, region)])


def model_config(recipe: Recipe) -> DiaConfig:
    """The shape of the recipe's model; of models with known shapes nothing is fetched."""
    config = dia_1_6b() if recipe.model.weights in KNOWN else start_config(recipe.model)
    return replace(config, codec=recipe.codec or config.codec)


def step_flops(recipe: Recipe, config: DiaConfig, work: Workload) -> float:
    """Of the longest batch; of packed ones, which are alike, the mean."""
    longest = work.longest
    if longest.places > 1:
        return work.flops / work.steps
    return float(training_flops(config, longest.frames, longest.text_bytes, longest.rows, recipe.sequences))


def seconds(flops: float, hardware: Hardware) -> float:
    """How long so many useful operations take at the stated utilisation."""
    return flops / (hardware.chips * hardware.chip.peak * hardware.chip.utilisation)


def cost(recipe: Recipe, hardware: Hardware, work: Workload, prices: Prices) -> Cost:
    epoch_hours = seconds(work.flops / work.filled, hardware) / 3600
    run_hours = epoch_hours * recipe.steps / work.steps
    price = prices.chip_hour.get(hardware.chip.name)
    hourly = price and price.price * hardware.chips
    return Cost(
        recipe.steps,
        run_hours,
        epoch_hours,
        None if hourly is None else hourly * run_hours,
        None if hourly is None else hourly * epoch_hours,
        price,
    )


def storage(recipe: Recipe, config: DiaConfig, work: Workload, prices: Prices) -> Storage:
    weights, checkpoint = parameters(config), state_bytes(recipe, config)
    kept = recipe.checkpoint.keep * checkpoint
    whole = work.shards + kept + weights * 4
    return Storage(work.shards, checkpoint, kept, weights * 4, whole / GIB * prices.storage_gib_month.price)


def advice(made: Plan, layout: Layout) -> Iterator[str]:
    """What is wrong or could be better, in a sentence each."""
    best = made.found.largest[0] if made.found.largest else None
    if made.headroom < 0:
        gib = -made.headroom / GIB
        yield f"This does not fit on {made.hardware.name} by {gib:.1f} GiB a chip; {_lower(made, layout)}."
    elif best and best.remat != made.remat and best.rows >= made.rows and _faster(best, made):
        yield f"remat={best.remat} leaves room too, and recomputes less: up to a quarter faster."
    spread = made.mesh[0] * made.mesh[1] * made.accumulate
    if made.longest.rows % spread:
        idle = -made.longest.rows % spread
        yield (
            f"{idle} of {made.longest.rows + idle} rows of the longest batch are empty: make them a multiple of {spread}."
        )


def _faster(tried: Tried, made: Plan) -> bool:
    order = [each.remat for each in made.found.largest]
    return made.remat not in order or order.index(tried.remat) < order.index(made.remat)


def _lower(made: Plan, layout: Layout) -> str:
    """What to change so that it fits: first what costs least."""
    fitting = [tried for tried in made.found.largest if tried.rows >= made.rows]
    if fitting:
        return f"set remat={fitting[0].remat}"
    most = max(made.found.largest, key=lambda tried: tried.rows, default=None)
    if most is None:
        return "lower data.max_frames, or take hardware with more memory or more chips"
    rows = most.rows * layout.multiple
    lower = (
        f"data.batch_size={rows}"
        if layout.recipe.data.batch_size
        else f"data.batch_frames={rows * made.longest.frames}"
    )
    parts = _parts(made, layout, most)
    keep = f", or keep the batch with accumulate={parts}" if parts else ""
    return f"with remat={most.remat} lower it to {lower}{keep}"


def _parts(made: Plan, layout: Layout, most: Tried) -> int | None:
    """In how many parts the batch fits beside the sum of their gradients; None where not one row does."""
    accumulate = layout.recipe.accumulate
    recipe = layout.recipe.model_copy(update={"remat": most.remat, "accumulate": max(accumulate, 2)})
    own = replace(layout, recipe=recipe).estimate
    rows = math.floor((made.found.room * (1 - UNSEEN) - own.needed(0)) / own.row)
    return -(-made.rows * accumulate // min(rows, most.rows)) if rows > 0 else None


def far_away(
    recipe: Recipe, hardware: Hardware, work: Workload, prices: Prices, region: str | None
) -> Iterator[str]:
    """A warning when bucket and accelerators lie in different regions."""
    there, here = region_of(recipe.data.export), region or hardware.chip.region
    if there and here and apart(there, here):
        costs = toll(recipe.data.export, there, here, work.shards, prices.egress_gib.price)
        yield f"{costs} Copy the export to a bucket in {here} first."
