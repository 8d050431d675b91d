"""Orbax directories, one tensor at a time: Parkiet's and Rosella's training checkpoints.

A tensor's name is its path in the tree, joined by `/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rosella.errors import UserError
from rosella.files import require_space
from rosella.weights.tensors import DTYPES, Stored, Tensors

_DATA_FILE = 256 << 20  # bytes that wait in memory for their data file


def is_orbax(path: Path) -> bool:
    return (path / "_METADATA").is_file()


def open_tree(path: Path, below: str = "") -> Tensors:
    """The arrays of an Orbax directory, those under the key `below` if it is given.

    They are read as NumPy arrays, so that on how many devices they were saved does not matter.
    """
    import jax
    import orbax.checkpoint as ocp

    checkpointer = ocp.PyTreeCheckpointer()
    try:
        metadata: Any = checkpointer.metadata(path.resolve())
        described = metadata.item_metadata.tree
    except Exception as error:  # Orbax and TensorStore raise many kinds; all mean that it cannot be read
        raise UserError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}); copy it again."
        ) from error
    described = described[below] if below else described
    leaves = jax.tree_util.tree_leaves_with_path(described, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    keys = {"/".join(str(step.key) for step in keys): [step.key for step in keys] for keys, _ in leaves}
    stored = {
        name: Stored(tuple(leaf.shape), DTYPES.get(np.dtype(leaf.dtype).name))
        for name, (_, leaf) in zip(keys, leaves, strict=True)
    }

    def read(name: str) -> np.ndarray:
        branch = [below, *keys[name]] if below else keys[name]
        wanted = ocp.args.PyTreeRestore(
            item=_nested(branch, 0),
            restore_args=_nested(branch, ocp.RestoreArgs(restore_type=np.ndarray)),
            partial_restore=True,
        )
        try:
            value = checkpointer.restore(path.resolve(), args=wanted)
        except Exception as error:
            raise UserError(
                f"The tensor {name} in {path} is damaged ({type(error).__name__}); copy it again."
            ) from error
        for step in branch:
            value = value[step]
        return value

    return Tensors(stored, read)


def write_tree(path: Path, tensors: Tensors) -> None:
    """Writes an Orbax directory that `StandardCheckpointer` restores; tensors are read when their turn comes."""
    import jax
    import orbax.checkpoint as ocp
    from orbax.checkpoint import type_handlers

    class Waiting:
        """Stands in the tree for a tensor that is not read yet."""

        def __init__(self, name: str) -> None:
            self.name = name

    class Handler(type_handlers.NumpyHandler):
        async def serialize(self, values: Any, infos: Any, args: Any = None) -> list[Any]:
            for waiting, info, arg in zip(values, infos, args or [ocp.SaveArgs()] * len(values), strict=True):
                for write in await super().serialize([tensors.read(waiting.name)], [info], [arg]):
                    write.result()
            return []

    tree: dict[str, Any] = {}
    for name in tensors.stored:
        *branches, leaf = name.split("/")
        here = tree
        for branch in branches:
            here = here.setdefault(branch, {})
        here[leaf] = Waiting(name)
    handlers = (Waiting, Handler()), (jax.Array, type_handlers.ArrayHandler())
    registry = type_handlers.create_type_handler_registry(*handlers)
    require_space(
        path.parent, (math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in tensors.stored.values())
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=registry)) as checkpointer:
        save = ocp.args.PyTreeSave(tree, ocdbt_target_data_file_size=_DATA_FILE)
        checkpointer.save(path.resolve(), args=save)


def _nested(keys: list[str], value: Any) -> Mapping[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value
