"""Logical axes of the weights -> axes of a device mesh; built when asked.

`data` has copies of the weights, `fsdp` splits them along the model's width (fully sharded data parallelism, arXiv
2304.11277), `tensor` along heads and inner width (arXiv 1909.08053). Rows of a batch lie over `data` and `fsdp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp", "tensor")

RULES: dict[str, str] = {"embed": "fsdp", "heads": "tensor", "inner": "tensor"}
"""What is not named stays whole: the vocabularies are an eightieth of the weights, and a split one costs an exchange."""

ROWS = PartitionSpec(("data", "fsdp"))
"""Where the first axis of a batch lies."""


def make_mesh(data: int, fsdp: int, tensor: int, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of data x fsdp x tensor devices, of all or of those given, described ones too."""
    return jax.make_mesh((data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def specification(axes: tuple[str, ...], shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """Where each dimension goes; one that its mesh axis does not divide stays whole.

    ValueError when two dimensions would share one mesh axis.
    """
    names = [RULES.get(axis) for axis in axes]
    used = [name for name in names if name]
    if len(used) != len(set(used)):
        raise ValueError(f"The axes {axes} send two dimensions to one mesh axis under {RULES}.")
    sized = zip(names, shape, strict=True)
    return PartitionSpec(*(name if name and size % mesh.shape[name] == 0 else None for name, size in sized))


def shardings(module: nnx.Module, mesh: Mesh) -> Any:
    """A NamedSharding per parameter, in a tree like `nnx.state(module, nnx.Param)`, abstract or not."""

    def place(param: nnx.Param[Any]) -> nnx.Variable[Any]:
        spec = specification(param.get_metadata()["axes"], param.get_value().shape, mesh)
        return param.replace(NamedSharding(mesh, spec))

    return jax.tree.map(
        place, nnx.state(module, nnx.Param), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )


def put(array: np.ndarray, where: Any = None) -> jax.Array:
    """An array of this process's memory on the devices: to each its shard alone; on the default one without `where`.

    With several processes each gives its own devices theirs.
    """
    sharding: Any = where.get_value() if isinstance(where, nnx.Variable) else where
    if sharding is None:
        return jnp.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def platform() -> str | None:
    """What the devices of the mesh in use are, `cpu`, `gpu` or `tpu`, be they there or described; None without a mesh."""
    device: Any = jax.sharding.get_abstract_mesh().abstract_device
    return device and device.platform


def shards() -> tuple[int, int]:
    """Into how many parts the mesh in use divides the rows of a batch, and the heads."""
    sizes = jax.sharding.get_abstract_mesh().shape
    return sizes.get("data", 1) * sizes.get("fsdp", 1), sizes.get("tensor", 1)


def along_rows(x: jax.Array) -> jax.Array:
    """The same numbers, held where their rows are: the compiler then gathers weights and does not send states around.

    Outside `jax.sharding.use_abstract_mesh` nothing happens.
    """
    return _held(x, ROWS)


def gathered(table: jax.Array) -> jax.Array:
    """The same numbers on every device: rows of a table that is split along its width are not found without that."""
    return _held(table, PartitionSpec())


def _held(x: jax.Array, where: PartitionSpec) -> jax.Array:
    mesh = jax.sharding.get_abstract_mesh()
    return x if mesh.empty or mesh.size == 1 else jax.lax.with_sharding_constraint(x, where)
