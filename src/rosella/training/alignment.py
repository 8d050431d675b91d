"""A diagonal prior that shows a model trained from random weights where in the text it is.

Speech follows its text from left to right at a nearly even pace. While the prior fades, cross-attention learns to find
the place by itself. After the idea of Badlani et al. 2021 (arXiv 2108.10447), as a bias on Dia's own attention.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

WIDTH = 0.06
"""Standard deviation of the full prior, as a share of the text."""


def diagonal_bias(at_text: jax.Array, at_step: jax.Array, strength: jax.Array) -> jax.Array:
    """Bias float32 [B, 1, T, S] on cross-attention: `strength` 1 for the full prior, 0 for none.

    `at_text` [B, S] and `at_step` [B, T] say how far through its utterance each byte and step is, 0 to 1.
    """
    distance = at_step[:, :, None] - at_text[:, None, :]
    return (-0.5 * strength * jnp.square(distance / WIDTH))[:, None]
