from __future__ import annotations

import jax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from rosella.model import sharding
from rosella.model.config import dia_1_6b
from rosella.model.transformer import Dia


def test_every_weight_of_the_large_model_has_a_place():
    model = nnx.eval_shape(lambda: Dia(dia_1_6b(), nnx.Rngs(0)))
    shapes = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    placed = dict(nnx.to_flat_state(sharding.shardings(model, sharding.make_mesh(1, 1, 1))))
    assert shapes.keys() == placed.keys()
    for path, leaf in shapes.items():
        assert len(placed[path].get_value().spec) == leaf.ndim, path
    gate = placed[("decoder", "layers", "mlp", "gate_up")].get_value()
    assert gate.spec == PartitionSpec(None, "fsdp", None, "tensor")


def test_the_large_model_has_its_published_size():
    model = nnx.eval_shape(lambda: Dia(dia_1_6b(), nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 1_611_160_576


def test_two_dimensions_on_one_mesh_axis_are_refused():
    with pytest.raises(ValueError, match="one mesh axis"):
        sharding.specification(("heads", "inner"), (4, 4), sharding.make_mesh(1, 1, 1))
