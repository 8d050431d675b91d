"""In which numbers a model generates: those that its decoder's weights are held in, and its products computed."""

from __future__ import annotations

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx

from rosella.errors import UserError
from rosella.inference.generate import prepared
from rosella.model.transformer import DecodingWeights, Dia

Precision = Literal["float32", "bfloat16", "int8"]


def ready(model: Dia, precision: Precision) -> tuple[Dia, DecodingWeights]:
    """The model as a generation needs it, and its weights for the steps, in which the decoder's layers are kept alone.

    With `int8`, products have factors of float32 on a CPU and of bfloat16 elsewhere. UserError for another precision.
    """
    if precision not in get_args(Precision):
        raise UserError(f"The precision {precision!r} is unknown: choose {', '.join(get_args(Precision))}.")
    own = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    model = model.computing(own if precision == "int8" else precision)
    weights = prepared(model, precision == "int8")
    return _without_decoder(model), weights


def _without_decoder(model: Dia) -> Dia:
    """The model without the weights that steps read from `prepared` ones: it may begin them, but not be trained."""
    graph, state = nnx.split(model)
    flat: Any = nnx.to_flat_state(state)
    kept = [(path, leaf.replace(jnp.zeros(0)) if _in_steps(path) else leaf) for path, leaf in flat]
    return nnx.merge(graph, nnx.from_flat_state(kept))


def _in_steps(path: tuple[str, ...]) -> bool:
    return path[:2] in (("decoder", "layers"), ("decoder", "logits"))
