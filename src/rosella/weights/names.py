"""One table of the names that the homes of a model give its tensors, used in every direction.

Names hold `{i}` where tensors are numbered; the number is the first axis of our stacked parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from rosella.model.config import DiaConfig

ParameterPath = tuple[str, ...]
"""Where one of our parameters stands: `("decoder", "layers", "mlp", "down")`."""


class Kind(StrEnum):
    """Whose home of a model, and whose names and shapes of tensors, as the command line calls them."""

    TRANSFORMERS = "transformers"
    """`DiaForConditionalGeneration`: every weight has two axes, linear ones as [out, in]."""
    NARI = "nari"
    """Nari Labs' Dia: one embedding per codebook, axes as ours."""
    ROSELLA = "rosella"
    """Our parameters: the layers stacked, the codebooks too."""
    PARKIET = "reference"
    """Parkiet's parameter tree in JAX: as nari, with Flax' leaf names."""

    @property
    def named(self) -> Kind:
        """Whose names the tensors have in a model directory of this kind; only our checkpoints have ours."""
        return Kind.TRANSFORMERS if self is Kind.ROSELLA else self


class Rule(NamedTuple):
    ours: str
    transformers: str
    nari: str
    role: str  # norm, embedding or linear


class Place(NamedTuple):
    """Where a stored tensor goes: our path, its number in the stack (None: the whole stack), and its role."""

    path: ParameterPath
    number: int | None
    role: str


_PROJECTIONS = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "o_proj"))
_FEEDFORWARD = (("gate_up", "gate_up_proj", "wi_fused"), ("down", "down_proj", "wo"))
_LEAVES = {"norm": "scale", "embedding": "embedding", "linear": "kernel"}


def _layers(side: str, norms: dict[str, str], attentions: tuple[str, ...]) -> list[Rule]:
    ours, nari = f"{side}.layers", f"{side}.layers.{{i}}"
    pairs = [(f"{norm}.scale", theirs, theirs, "norm") for norm, theirs in norms.items()]
    for name in attentions:
        pairs += [(f"{name}.{a}", f"{name}.{b}", f"{name}.{b}", "linear") for a, b in _PROJECTIONS]
    pairs += [(f"mlp.{a}", f"mlp.{b}", f"mlp.{c}", "linear") for a, b, c in _FEEDFORWARD]
    return [Rule(f"{ours}.{a}", f"model.{nari}.{b}", f"{nari}.{c}", role) for a, b, c, role in pairs]


RULES: tuple[Rule, ...] = (
    Rule("encoder.embedding", "model.encoder.embedding", "encoder.embedding", "embedding"),
    *_layers("encoder", {"self_norm": "pre_sa_norm", "mlp_norm": "post_sa_norm"}, ("self_attention",)),
    Rule("encoder.norm.scale", "model.encoder.norm", "encoder.norm", "norm"),
    Rule("decoder.embedding", "model.decoder.embeddings.embed", "decoder.embeddings.{i}", "embedding"),
    *_layers(
        "decoder",
        {"self_norm": "pre_sa_norm", "cross_norm": "pre_ca_norm", "mlp_norm": "pre_mlp_norm"},
        ("self_attention", "cross_attention"),
    ),
    Rule("decoder.norm.scale", "model.decoder.norm", "decoder.norm", "norm"),
    Rule("decoder.logits", "logits_dense", "decoder.logits_dense", "linear"),
)


def places(named: Kind, config: DiaConfig) -> dict[str, Place]:
    """Every tensor of a model of this configuration, under its name, and where it goes."""
    found: dict[str, Place] = {}
    for rule in RULES:
        name, path = pattern(rule, named), tuple(rule.ours.split("."))
        numbers: Iterable[int | None] = range(_count(path, config)) if "{i}" in name else [None]
        found |= {name.replace("{i}", str(i)): Place(path, i, rule.role) for i in numbers}
    return found


def pattern(rule: Rule, named: Kind) -> str:
    """The tensor name of a rule, with `{i}` for a number."""
    if named is Kind.ROSELLA:
        return rule.ours
    if named is Kind.PARKIET:
        return f"{rule.nari.replace('.', '/')}/{_LEAVES[rule.role]}"
    return f"{rule.transformers if named is Kind.TRANSFORMERS else rule.nari}.weight"


@lru_cache(maxsize=8)
def parameter_shapes(config: DiaConfig) -> dict[ParameterPath, tuple[int, ...]]:
    """The shape of each of our parameters."""
    from flax import nnx

    from rosella.model.transformer import Dia

    model = nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0)))
    flat: Any = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {path: leaf.shape for path, leaf in flat}


def tensor_shapes(named: Kind, config: DiaConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model of this configuration, under its name."""
    ours = parameter_shapes(config)
    return {
        name: _stored_shape(named, place, ours[place.path] if place.number is None else ours[place.path][1:])
        for name, place in places(named, config).items()
    }


def to_ours(named: Kind, place: Place, stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A stored tensor in our shape; a view where it can be."""
    transposed = named is Kind.TRANSFORMERS and place.role == "linear"
    return (stored.T if transposed else stored).reshape(shape)


def to_stored(named: Kind, place: Place, ours: np.ndarray) -> np.ndarray:
    """Our tensor, without the axis of its number, as it is stored under such names; contiguous."""
    shape = _stored_shape(named, place, ours.shape)
    transposed = named is Kind.TRANSFORMERS and place.role == "linear"
    return np.ascontiguousarray(ours.reshape(shape[::-1]).T if transposed else ours.reshape(shape))


def _stored_shape(named: Kind, place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The stored shape of a tensor whose shape here, without the axis of its number, is `shape`."""
    if named is not Kind.TRANSFORMERS or len(shape) == 1:
        return shape
    if place.role == "embedding":
        return (int(np.prod(shape[:-1])), shape[-1])
    # An output projection reads [heads, width]; every other linear weight reads its first axis.
    inputs = shape[0] * shape[1] if place.path[-1] == "out" else shape[0]
    return (int(np.prod(shape)) // inputs, inputs)


def _count(path: ParameterPath, config: DiaConfig) -> int:
    if "layers" not in path:
        return config.decoder.num_channels
    return (config.encoder if path[0] == "encoder" else config.decoder).num_hidden_layers
