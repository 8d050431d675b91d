"""One table between Transformers' tensor names for Dia and the paths of our parameters.

A rule's name may hold `{i}`, the layer, which is the first axis of our stacked weight. `linear` weights are
stored by PyTorch as [out, in]; ours are [in, out...], so they are transposed, then reshaped. Others are only
reshaped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rosella.model.config import DiaConfig

Path = tuple[str, ...]


class Rule(NamedTuple):
    name: str  # Transformers
    path: str  # ours, under the Dia module
    linear: bool = False


class Place(NamedTuple):
    """Where a stored tensor goes: our path, its layer in the stack (None: not stacked), if it is linear."""

    path: Path
    layer: int | None
    linear: bool


_PROJECTIONS = (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("o_proj", "out"))


def _attention(name: str, path: str) -> list[Rule]:
    return [Rule(f"{name}.{theirs}.weight", f"{path}.{ours}", True) for theirs, ours in _PROJECTIONS]


def _layer(side: str, norms: dict[str, str], attentions: tuple[str, ...]) -> list[Rule]:
    name, path = f"model.{side}.layers.{{i}}", f"{side}.layers"
    rules = [Rule(f"{name}.{theirs}.weight", f"{path}.{ours}.scale") for theirs, ours in norms.items()]
    for attention in attentions:
        rules += _attention(f"{name}.{attention}", f"{path}.{attention}")
    pairs = (("gate_up_proj", "gate_up"), ("down_proj", "down"))
    return rules + [Rule(f"{name}.mlp.{theirs}.weight", f"{path}.mlp.{ours}", True) for theirs, ours in pairs]


RULES: tuple[Rule, ...] = (
    Rule("model.encoder.embedding.weight", "encoder.embedding"),
    *_layer("encoder", {"pre_sa_norm": "self_norm", "post_sa_norm": "mlp_norm"}, ("self_attention",)),
    Rule("model.encoder.norm.weight", "encoder.norm.scale"),
    Rule("model.decoder.embeddings.embed.weight", "decoder.embedding"),
    *_layer(
        "decoder",
        {"pre_sa_norm": "self_norm", "pre_ca_norm": "cross_norm", "pre_mlp_norm": "mlp_norm"},
        ("self_attention", "cross_attention"),
    ),
    Rule("model.decoder.norm.weight", "decoder.norm.scale"),
    Rule("logits_dense.weight", "decoder.logits", True),
)


def places(config: DiaConfig) -> dict[str, Place]:
    """Every tensor name of a model of this configuration, and where it goes."""
    layers = {"encoder": config.encoder.num_hidden_layers, "decoder": config.decoder.num_hidden_layers}
    found: dict[str, Place] = {}
    for rule in RULES:
        path = tuple(rule.path.split("."))
        if "{i}" not in rule.name:
            found[rule.name] = Place(path, None, rule.linear)
            continue
        for i in range(layers[path[0]]):
            found[rule.name.format(i=i)] = Place(path, i, rule.linear)
    return found


def stored_shape(place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape on disk of a tensor whose shape here, layer axis removed, is `shape`."""
    if len(shape) == 1:
        return shape
    if not place.linear:
        return (int(np.prod(shape[:-1])), shape[-1])
    inputs = _inputs(place, shape)
    return (int(np.prod(shape)) // inputs, inputs)


def to_ours(place: Place, stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A stored tensor in our layout."""
    return (stored.T if place.linear else stored).reshape(shape)


def to_stored(place: Place, ours: np.ndarray) -> np.ndarray:
    """Our tensor, layer axis removed, in the layout on disk."""
    shape = stored_shape(place, ours.shape)
    return np.ascontiguousarray(ours.reshape(shape[::-1]).T if place.linear else ours.reshape(shape))


def _inputs(place: Place, shape: tuple[int, ...]) -> int:
    """An output projection reads [heads, width]; every other linear weight reads its first axis."""
    return shape[0] * shape[1] if place.path[-1] == "out" else shape[0]
