"""The largest batches that fit, over what is recomputed; compiled where there is a compiler for the hardware.

A step that does not fit is refused within seconds, long before its code is written, and the compiler says what it would
need. So the recipe's own step is compiled whole, and for each rematerialisation one that is certainly too large.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from rosella.training.plan.compiler import ask
from rosella.training.plan.compiling import Memory, answer
from rosella.training.plan.estimate import POLICIES
from rosella.training.plan.hardware import HERE_NAME
from rosella.training.plan.layout import Layout

MARGIN, UNSEEN = 0.05, 0.10
"""Of a device's memory, left free where its use lies between compiled sizes, and where nothing was compiled."""
TOO_MUCH = 1.2
"""Of a device's memory: what is estimated to need so much certainly does not fit."""
PATIENCE, PROBE = 280.0, 30.0
"""Seconds: what all may take together, and one step that is too large."""

Note = Callable[[str], None]
Points = dict[int, int]
"""Bytes needed on a device, by rows on it, as the compiler says."""


@dataclass(frozen=True)
class Tried:
    """One way to lay out a step: rows on a device at a time, what is recomputed, bytes needed there, and whether just
    this was compiled."""

    remat: str
    rows: int
    needed: int
    compiled: bool


@dataclass(frozen=True)
class Found:
    """What the recipe itself needs, and the largest number of rows for each rematerialisation that has any."""

    memory: Memory
    compiled: bool
    room: int
    largest: list[Tried]


def search(layout: Layout, note: Note) -> Found:
    """What the recipe needs as it is, then the largest batch for each rematerialisation, the fastest first."""
    began = time.monotonic()
    first = _compiled(layout, note)
    estimate, rows = layout.estimate, layout.rows
    scale = (first.needed - estimate.arguments) / estimate.temporaries(rows) if first else 1.0
    room = (first and first.room) or layout.hardware.chip.room
    largest: list[Tried] = []
    for remat in POLICIES:
        points = {rows: _counted(layout, first)} if first and remat == layout.recipe.remat else {}
        other = layout.other(remat, 1)
        if layout.hardware.topology and time.monotonic() + PROBE < began + PATIENCE:
            points |= _probe(other, room, scale, points, note)
        found = _most(other, room, scale, points)
        largest += [found] if found else []
    memory = first or Memory(estimate.needed(rows), estimate.arguments, estimate.temporaries(rows))
    return Found(memory, first is not None, room, largest)


def _compiled(layout: Layout, note: Note) -> Memory | None:
    """What the compiler says; None for hardware that there is no compiler for here."""
    if not (layout.hardware.topology or layout.hardware.name == HERE_NAME):
        return None
    rows, remat = layout.rows, layout.recipe.remat
    note(f"compiling for {layout.hardware.name}: {rows} rows on each chip, remat {remat} …")
    return ask(layout.request()) if layout.hardware.topology else answer(layout.request())


def _probe(layout: Layout, room: int, scale: float, points: Points, note: Note) -> Points:
    """One point more, which lies beyond the memory there is."""
    estimate = layout.estimate
    free = TOO_MUCH * room - estimate.arguments - scale * estimate.fixed
    rows = max(1, math.ceil(free / (scale * estimate.row)))
    rows *= 2 if rows in points else 1
    found = _compiled(layout.other(layout.recipe.remat, rows), note)
    return {rows: _counted(layout, found)} if found else {}


def _counted(layout: Layout, memory: Memory) -> int:
    """Bytes; of a step that the compiler accepted, no more than there is."""
    accepted = layout.hardware.topology and memory.room is None
    return min(memory.needed, layout.hardware.chip.room) if accepted else memory.needed


def _most(layout: Layout, room: int, scale: float, points: Points) -> Tried | None:
    """The most rows that fit, by the line through what was compiled; none compiled, by the scaled estimate."""
    start, slope = _line(layout, scale, points)
    rows = math.floor((room * (1 - (MARGIN if points else UNSEEN)) - start) / slope)
    rows = max([rows, *(own for own, needed in points.items() if needed <= room)])
    rows = min([rows, *(own - 1 for own, needed in points.items() if needed > room)])
    if rows < 1:
        return None
    needed = points.get(rows, int(start + rows * slope))
    return Tried(layout.recipe.remat, rows, needed, rows in points)


def _line(layout: Layout, scale: float, points: Points) -> tuple[float, float]:
    """Bytes without a row, and for each."""
    estimate = layout.estimate
    start = estimate.arguments + scale * estimate.fixed
    if not points:
        return start, scale * estimate.row
    (few, least), (many, most) = min(points.items()), max(points.items())
    if few == many:
        return start, max(most - start, 1) / many
    slope = (most - least) / (many - few)
    return least - few * slope, slope
