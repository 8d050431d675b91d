"""AdamW whose learning rate is one function of the step, applied and logged from the same value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rosella.config import OptimizerRecipe

Schedule = Callable[[jax.Array], jax.Array]


def make_schedule(recipe: OptimizerRecipe, steps: int) -> Schedule:
    """Learning rate at the 0-based `step`: linear warmup, then cosine, constant or stay-and-decay (WSD)."""
    fall = {"cosine": steps - recipe.warmup, "constant": 0, "wsd": recipe.decay}[recipe.schedule]

    def schedule(step: jax.Array) -> jax.Array:
        rise = jnp.minimum(1.0, (step + 1) / max(recipe.warmup, 1))
        fallen = jnp.clip((step - (steps - fall)) / max(fall, 1), 0.0, 1.0)
        shape = 0.5 * (1 + jnp.cos(jnp.pi * fallen)) if recipe.schedule == "cosine" else 1.0 - fallen
        return recipe.lr * rise * (recipe.final_share + (1 - recipe.final_share) * shape)

    return schedule


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
