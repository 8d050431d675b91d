"""How a recipe's longest batch lies over some hardware."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property

from rosella.model.config import DiaConfig
from rosella.training.mesh import mesh_sizes
from rosella.training.order import Bucket
from rosella.training.plan.compiling import Request
from rosella.training.plan.estimate import Estimate, estimate
from rosella.training.plan.hardware import Hardware
from rosella.training.recipe import Recipe


@dataclass(frozen=True)
class Layout:
    """`bucket` is the shape of its longest batches."""

    recipe: Recipe
    config: DiaConfig
    hardware: Hardware
    bucket: Bucket

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
        return -(-self.bucket.rows // self.multiple)

    def other(self, remat: str, rows: int) -> Layout:
        """The same with so many rows on a device at a time, and another rematerialisation."""
        recipe = self.recipe.model_copy(update={"remat": remat})
        return replace(self, recipe=recipe, bucket=replace(self.bucket, rows=rows * self.multiple))

    @cached_property
    def estimate(self) -> Estimate:
        return estimate(self.recipe, self.config, self.mesh, self.bucket)

    def request(self) -> Request:
        bucket = asdict(replace(self.bucket, rows=self.rows * self.multiple))
        topology = self.hardware.topology
        return Request(self.recipe.model_dump(), self.config.to_dict(), **bucket, topology=topology)
