"""One table of the names that the homes of a model give its tensors, used in every direction.

A layout is a set of names and shapes:

    transformers   `DiaForConditionalGeneration`: every weight has two axes, linear ones as [out, in]
    nari           Nari Labs' Dia: one embedding per codebook, axes as ours
    reference      the JAX reference's parameter tree: as nari, with Flax' leaf names
    rosella        our parameters: the layers stacked, the codebooks too

Names hold `{i}` where tensors are numbered; the number is the first axis of our stacked parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rosella.model.config import DiaConfig

Path = tuple[str, ...]
LAYOUTS = ("transformers", "nari", "reference", "rosella")


class Rule(NamedTuple):
    ours: str
    transformers: str
    nari: str
    kind: str  # norm, embedding or linear


class Place(NamedTuple):
    """Where a stored tensor goes: our path, its number in the stack (None: the whole stack), and its kind."""

    path: Path
    index: int | None
    kind: str


_PROJECTIONS = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "o_proj"))
_FEEDFORWARD = (("gate_up", "gate_up_proj", "wi_fused"), ("down", "down_proj", "wo"))
_LEAVES = {"norm": "scale", "embedding": "embedding", "linear": "kernel"}


def _layers(side: str, norms: dict[str, str], attentions: tuple[str, ...]) -> list[Rule]:
    ours, nari = f"{side}.layers", f"{side}.layers.{{i}}"
    pairs = [(f"{norm}.scale", theirs, theirs, "norm") for norm, theirs in norms.items()]
    for name in attentions:
        pairs += [(f"{name}.{a}", f"{name}.{b}", f"{name}.{b}", "linear") for a, b in _PROJECTIONS]
    pairs += [(f"mlp.{a}", f"mlp.{b}", f"mlp.{c}", "linear") for a, b, c in _FEEDFORWARD]
    return [Rule(f"{ours}.{a}", f"model.{nari}.{b}", f"{nari}.{c}", kind) for a, b, c, kind in pairs]


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


def places(layout: str, config: DiaConfig) -> dict[str, Place]:
    """Every tensor name of a model of this configuration in a layout, and where it goes."""
    found: dict[str, Place] = {}
    for rule in RULES:
        name, path = pattern(rule, layout), tuple(rule.ours.split("."))
        numbers: Iterable[int | None] = range(_count(path, config)) if "{i}" in name else [None]
        found |= {name.replace("{i}", str(i)): Place(path, i, rule.kind) for i in numbers}
    return found


def pattern(rule: Rule, layout: str) -> str:
    """The tensor name of a rule in a layout, with `{i}` for a number."""
    if layout == "rosella":
        return rule.ours
    if layout == "reference":
        return f"{rule.nari.replace('.', '/')}/{_LEAVES[rule.kind]}"
    return f"{rule.transformers if layout == 'transformers' else rule.nari}.weight"


def stored_shape(layout: str, place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in a layout of a tensor whose shape here, without the axis of its number, is `shape`."""
    if layout != "transformers" or len(shape) == 1:
        return shape
    if place.kind == "embedding":
        return (int(np.prod(shape[:-1])), shape[-1])
    # An output projection reads [heads, width]; every other linear weight reads its first axis.
    inputs = shape[0] * shape[1] if place.path[-1] == "out" else shape[0]
    return (int(np.prod(shape)) // inputs, inputs)


def to_ours(layout: str, place: Place, stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A stored tensor in our layout; a view where it can be."""
    transposed = layout == "transformers" and place.kind == "linear"
    return (stored.T if transposed else stored).reshape(shape)


def to_stored(layout: str, place: Place, ours: np.ndarray) -> np.ndarray:
    """Our tensor, without the axis of its number, as the layout has it; contiguous."""
    shape = stored_shape(layout, place, ours.shape)
    transposed = layout == "transformers" and place.kind == "linear"
    return np.ascontiguousarray(ours.reshape(shape[::-1]).T if transposed else ours.reshape(shape))


def _count(path: Path, config: DiaConfig) -> int:
    if "layers" not in path:
        return config.decoder.num_channels
    return (config.encoder if path[0] == "encoder" else config.decoder).num_hidden_layers
