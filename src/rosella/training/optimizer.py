"""AdamW, the limit of its gradients, and which parameters decay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from rosella.recipes import OptimizerRecipe


def make_optimizer(recipe: OptimizerRecipe) -> optax.GradientTransformation:
    """AdamW (arXiv 1711.05101) without its step size; matrices decay, norm scales do not."""
    return optax.chain(
        optax.scale_by_adam(recipe.b1, recipe.b2),
        optax.add_decayed_weights(recipe.weight_decay, mask=_matrices),
    )


def clip(gradients: Any, limit: float) -> tuple[Any, jax.Array]:
    """Scale gradients to a global norm of at most `limit`; also returns the norm before clipping."""
    norm = optax.tree.norm(gradients)
    scale = jnp.minimum(1.0, limit / (norm + 1e-9))
    return jax.tree.map(lambda g: g * scale, gradients), norm


def _matrices(params: Any) -> Any:
    return jax.tree.map_with_path(lambda path, _: "norm" not in jax.tree_util.keystr(path), params)
