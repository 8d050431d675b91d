"""AdamW or Adafactor, the limit of their gradients, and which parameters decay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from rosella.training.recipe import SpeakingOptimizer


def make_optimizer(recipe: SpeakingOptimizer) -> optax.GradientTransformation:
    """AdamW (arXiv 1711.05101) or Adafactor (arXiv 1804.04235) without their step size; matrices decay, norm scales do not.

    Adafactor's updates are limited, not relative to the weights: its learning rate is read as AdamW's.
    """
    if recipe.kind == "adamw":
        scaled = optax.scale_by_adam(recipe.b1, recipe.b2)
    else:
        scaled = optax.chain(optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0))
    return optax.chain(scaled, optax.add_decayed_weights(recipe.weight_decay, mask=_matrices))


def clip(gradients: Any, limit: float) -> tuple[Any, jax.Array]:
    """Scale gradients to a global norm of at most `limit`; also returns the norm before clipping."""
    norm = optax.tree.norm(gradients)
    scale = jnp.minimum(1.0, limit / (norm + 1e-9))
    return jax.tree.map(lambda g: g * scale, gradients), norm


def _matrices(params: Any) -> Any:
    return jax.tree.map_with_path(lambda path, _: "norm" not in jax.tree_util.keystr(path), params)
