"""What a training step takes of a device's memory, without compiling it.

What stays of the weights is counted. What the forward pass keeps for the backward one is traced: JAX says which arrays
those are, by their shapes alone, for whatever the objective, the attention and the rematerialisation are at the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AbstractDevice, AbstractMesh, AxisType

from rosella.model.config import DiaConfig
from rosella.model.sharding import AXES
from rosella.model.transformer import REMAT, Dia
from rosella.training import objective
from rosella.training.batches import Batch
from rosella.training.optimizer import make_optimizer
from rosella.training.order import Bucket
from rosella.training.plan.compiling import abstract_batch
from rosella.training.recipe import Recipe
from rosella.training.state import Skeleton

POLICIES = ("none", *REMAT)
"""From the fastest to the most sparing."""
GRADIENT = 4
"""Bytes of a weight's."""
WORKING = 0.55
"""What the backward pass through a decoder layer holds at once, in what the forward pass through it makes; as XLA counts
for Dia-1.6B on TPUs (docs/plan.md)."""

KERNELS = AbstractMesh(
    (1, 1, 1), AXES, (AxisType.Auto,) * 3, abstract_device=AbstractDevice("tpu", 1, platform="tpu")
)
"""A device whose attention keeps no scores where a kernel may compute it; cards' kernels keep the same as TPUs'."""

MANY = 8
"""Rows from which on the logits of long ones are made in pieces, and none of them kept."""


@dataclass(frozen=True)
class Estimate:
    """Bytes on one device: a part that does not depend on the batch, and one for each row."""

    arguments: int
    fixed: int
    row: int

    def temporaries(self, rows: int) -> int:
        return self.fixed + rows * self.row

    def needed(self, rows: int) -> int:
        return self.arguments + self.temporaries(rows)


def estimate(recipe: Recipe, config: DiaConfig, sizes: tuple[int, int, int], bucket: Bucket) -> Estimate:
    """Of rows of a bucket on a mesh of `sizes` (data, fsdp, tensor)."""
    _, fsdp, tensor = sizes
    weights = parameters(config) / (fsdp * tensor)
    copies = weights * np.dtype(jnp.dtype(recipe.compute_dtype)).itemsize
    parts = 2 if recipe.accumulate > 1 else 1  # the sum of the gradients and the newest
    fixed = parts * weights * GRADIENT + copies + gathered(config, fsdp)
    kept = _kept(recipe.model_dump_json(), config, bucket)
    all_kept = recipe.model_copy(update={"remat": "none"}).model_dump_json()
    layer = _kept(all_kept, config, bucket) / config.decoder.num_hidden_layers
    return Estimate(
        state_bytes(recipe, config, fsdp * tensor), int(fixed), int((kept + WORKING * layer) / tensor)
    )


def parameters(config: DiaConfig) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in _shapes(config).values())


@cache
def _shapes(config: DiaConfig) -> dict[str, jax.ShapeDtypeStruct]:
    return Skeleton.of(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0))))[0].shapes


def state_bytes(recipe: Recipe, config: DiaConfig, shards: int = 1) -> int:
    """Weights in float32 and what the optimizer keeps, on one of the devices over which they are split."""
    shapes = _shapes(config)
    kept = jax.tree.leaves(jax.eval_shape(make_optimizer(recipe.optimizer).init, shapes))
    split = {leaf.shape for leaf in shapes.values()}
    return sum(
        int(np.prod(leaf.shape)) * leaf.dtype.itemsize // (shards if leaf.shape in split else 1)
        for leaf in (*shapes.values(), *kept)
    )


def gathered(config: DiaConfig, fsdp: int) -> float:
    """Bytes of one decoder layer's weights and gradients, which are whole while it is computed."""
    return 0.0 if fsdp == 1 else parameters(config) / config.decoder.num_hidden_layers * GRADIENT * 2


@cache
def _kept(said: str, config: DiaConfig, bucket: Bucket) -> int:
    """Bytes that one more row adds to what the forward pass keeps, by a recipe as JSON."""
    recipe = Recipe.model_validate_json(said)
    few, more = (_residuals(recipe, config, replace(bucket, rows=rows)) for rows in (MANY, 2 * MANY))
    return (more - few) // MANY


def _residuals(recipe: Recipe, config: DiaConfig, bucket: Bucket) -> int:
    skeleton = Skeleton.computing(config, recipe)

    def backward(params: Any, batch: Batch) -> Any:
        given, _ = objective.drop(batch, jax.random.key(0), recipe, config.decoder)

        def loss(params: Any) -> jax.Array:
            counts = objective.count(given, recipe, config.decoder)
            return objective.learn(skeleton.join(params), given, counts, jnp.int32(0), recipe)[0]

        return jax.vjp(loss, params)[1]

    with jax.sharding.use_abstract_mesh(KERNELS):
        kept = jax.tree.leaves(jax.eval_shape(backward, skeleton.shapes, abstract_batch(config, bucket)))
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in kept)
