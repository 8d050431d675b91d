"""Logical axes of the weights -> axes of a device mesh (`data`, `model`); built when asked."""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

# Weights are split over `data` along the model's width (fully sharded data parallelism) and over `model`
# along heads and inner width; what is not named stays whole.
RULES: dict[str, str] = {"embed": "data", "heads": "model", "inner": "model"}


def make_mesh(data: int, model: int = 1) -> Mesh:
    """A mesh of data x model devices, in the order JAX lists them."""
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto))


def specification(axes: tuple[str, ...], rules: dict[str, str] = RULES) -> PartitionSpec:
    """Where each dimension goes; ValueError when two dimensions would share one mesh axis."""
    names = [rules.get(axis) for axis in axes]
    used = [name for name in names if name]
    if len(used) != len(set(used)):
        raise ValueError(f"The axes {axes} send two dimensions to one mesh axis under {rules}.")
    return PartitionSpec(*names)


def shardings(module: nnx.Module, mesh: Mesh) -> Any:
    """A NamedSharding per parameter, in a tree like `nnx.state(module, nnx.Param)`, abstract or not."""

    def place(param: nnx.Param[Any]) -> nnx.Variable[Any]:
        return param.replace(NamedSharding(mesh, specification(param.get_metadata()["axes"])))

    return jax.tree.map(
        place, nnx.state(module, nnx.Param), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )
