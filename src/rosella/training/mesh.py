"""How a run lies over its devices: the mesh that a recipe asks for, and which rows of a batch each process holds.

The planned order knows nothing of this: a batch is completed with empty rows when it is placed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.sharding import AXES, ROWS, RULES, make_mesh
from rosella.model.transformer import Dia
from rosella.training.recipe import MeshRecipe


def choose_mesh(recipe: MeshRecipe, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh that a recipe asks for, of all devices or of those given; UserError when some would be left."""
    return make_mesh(*mesh_sizes(recipe, len(jax.devices() if devices is None else devices)), devices)


def mesh_sizes(recipe: MeshRecipe, number: int) -> tuple[int, int, int]:
    """Unset, `fsdp` takes all devices that the other two leave, and these are 1; UserError when some would be left."""
    data, tensor = recipe.data or 1, recipe.tensor or 1
    fsdp = recipe.fsdp or max(1, number // (data * tensor))
    if data * fsdp * tensor != number:
        asked = " x ".join(f"{axis} {size}" for axis, size in zip(AXES, (data, fsdp, tensor), strict=True))
        raise UserError(
            f"The mesh of {asked} takes {data * fsdp * tensor} devices, but there are {number}: "
            "choose sizes of mesh whose product that is, or leave mesh.fsdp unset."
        )
    return data, fsdp, tensor


def check_mesh(recipe: MeshRecipe, config: DiaConfig) -> None:
    """Refuse sizes that do not divide what they are asked to split; no device is touched."""
    asked = {axis: getattr(recipe, axis) or 1 for axis in AXES}
    for name, axis, size in _split_dimensions(config):
        if size % asked[axis]:
            raise UserError(
                f"mesh.{axis} is {asked[axis]}, which does not divide the {size} {name}: "
                f"choose a divisor, or leave mesh.{axis} unset."
            )


def _split_dimensions(config: DiaConfig) -> Iterator[tuple[str, str, int]]:
    """What of each parameter a mesh axis splits: its name for people, the axis, its size."""
    model = nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0)))
    for path, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        for dimension, size in zip(param.get_metadata()["axes"], param.get_value().shape, strict=True):
            if dimension in RULES:
                yield f"{dimension} of {'.'.join(map(str, path))}", RULES[dimension], size


class Rows:
    """Which rows of a batch this process reads, and their way to the devices."""

    def __init__(self, mesh: Mesh, accumulate: int = 1) -> None:
        self.mesh, self.sharding = mesh, NamedSharding(mesh, ROWS)
        self._parts = mesh.shape["data"] * mesh.shape["fsdp"]
        self._multiple = self._parts * accumulate
        found = self.sharding.addressable_devices_indices_map((self._parts,)).values()
        self._here = sorted({index[0].indices(self._parts)[0] for index in found if index})

    def padded(self, rows: int) -> int:
        """The rows of a batch with the empty ones that make it divisible."""
        return -(-rows // self._multiple) * self._multiple

    def own(self, rows: int) -> np.ndarray:
        """Which of the padded rows lie on devices of this process, in order; those from `rows` on are empty."""
        return np.arange(self.padded(rows)).reshape(self._parts, -1)[self._here].reshape(-1)

    def place(self, own: Any) -> Any:
        """A batch on the devices; `own` is a tree of arrays with the rows that `own` named."""

        def put(leaf: np.ndarray) -> jax.Array:
            size = len(leaf) // len(self._here) * self._parts
            numbers = self.own(size)

            def read(index: Any) -> np.ndarray:
                return leaf[np.searchsorted(numbers, np.arange(size)[index[0]])]

            return jax.make_array_from_callback((size, *leaf.shape[1:]), self.sharding, read)

        return jax.tree.map(put, own)
