"""How a recipe's longest batch lies over some hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from rosella.model.config import DiaConfig
from rosella.training.mesh import mesh_sizes
from rosella.training.plan.compiling import Request
from rosella.training.plan.estimate import Estimate, estimate
from rosella.training.plan.hardware import Hardware
from rosella.training.recipe import Recipe


@dataclass(frozen=True)
class Layout:
    """`shape` is the longest batch: rows, frames, text bytes."""

    recipe: Recipe
    config: DiaConfig
    hardware: Hardware
    shape: tuple[int, int, int]

    @cached_property
    def mesh(self) -> tuple[int, int, int]:
        """Devices along data, fsdp and tensor."""
        return mesh_sizes(self.recipe.mesh, self.hardware.chips)

    @property
    def multiple(self) -> int:
        """Rows of a batch are completed to a multiple of this."""
        return self.mesh[0] * self.mesh[1] * self.recipe.accumulate

    @property
    def rows(self) -> int:
        """Of a device, at a time."""
        return -(-self.shape[0] // self.multiple)

    def other(self, remat: str, rows: int) -> Layout:
        """The same with so many rows on a device at a time, and another rematerialisation."""
        recipe = self.recipe.model_copy(update={"remat": remat})
        return replace(self, recipe=recipe, shape=(rows * self.multiple, *self.shape[1:]))

    @cached_property
    def estimate(self) -> Estimate:
        return estimate(self.recipe, self.config, self.mesh, *self.shape[1:])

    def request(self) -> Request:
        rows = self.rows * self.multiple
        return Request(
            self.recipe.model_dump(), self.config.to_dict(), rows, *self.shape[1:], self.hardware.topology
        )
