"""The tiny Dia as Nari's Dia and as Parkiet write it, spelled out without the table under test."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
from flax import nnx

import tiny_dia
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from tiny_dia import CONFIG

NAMES = {
    "self_norm": "pre_sa_norm",
    "cross_norm": "pre_ca_norm",
    "self_attention": "self_attention",
    "cross_attention": "cross_attention",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "out": "o_proj",
    "gate_up": "wi_fused",
    "down": "wo",
}


def model(config: DiaConfig = CONFIG) -> Dia:
    """The tiny Dia with norms that can be told apart, since its own are all ones."""
    graph, state = nnx.split(tiny_dia.model(config))
    random = np.random.default_rng(1)
    spread = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), state)
    return nnx.merge(graph, spread)


def weights(dia) -> dict[tuple[str, ...], np.ndarray]:
    return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(dia, nnx.Param))}


def nari_state(dia=None) -> dict[str, np.ndarray]:
    """A state dictionary: encoder.layers.0.self_attention.q_proj.weight [D, N, H], and so on."""
    state = {}
    for path, value in weights(dia or model()).items():
        match path:
            case (side, "layers", *rest):
                rest = [NAMES.get(name, name) for name in rest if name != "scale"]
                if rest == ["mlp_norm"]:
                    rest = ["post_sa_norm" if side == "encoder" else "pre_mlp_norm"]
                for layer, one in enumerate(value):
                    state[".".join([side, "layers", str(layer), *rest, "weight"])] = one
            case ("decoder", "embedding"):
                for codebook, one in enumerate(value):
                    state[f"decoder.embeddings.{codebook}.weight"] = one
            case ("decoder", "logits"):
                state["decoder.logits_dense.weight"] = value
            case (side, "norm", "scale"):
                state[f"{side}.norm.weight"] = value
            case _:
                state["encoder.embedding.weight"] = value
    return state


def parkiet_tree(dia=None, theta: float = 10000.0) -> dict:
    """The parameter tree: encoder/layers/0/self_attention/q_proj/kernel, and so on, with its constants."""
    tree: dict = {}
    for name, value in nari_state(dia).items():
        *branches, _ = name.split(".")
        leaf = "scale" if "norm" in branches[-1] else "embedding" if "embedding" in name else "kernel"
        place(tree, [*branches, leaf], value)
        if branches[-2:] == ["self_attention", "q_proj"]:
            width = value.shape[-1]
            scale = theta ** (np.arange(0, width, 2, dtype=np.float32) / width)
            place(tree, [*branches[:-1], "rotary_emb", "timescale"], scale.astype(np.float32))
    return tree


def place(tree: dict, branches: list[str], value: np.ndarray) -> None:
    for branch in branches[:-1]:
        tree = tree.setdefault(int(branch) if branch.isdigit() else branch, {})
    tree[branches[-1]] = value


def write_nari_config(path: Path, config: DiaConfig = CONFIG) -> None:
    """As Nari's code writes it: the special ids at the top, the rotary base in each part, nothing of Rosella's."""
    values = config.to_dict()
    del values["rosella"]
    for name in ("eos_token_id", "pad_token_id", "bos_token_id"):
        values[name] = values["decoder_config"].pop(name)
    for part in ("encoder_config", "decoder_config"):
        values[part] |= {
            "rope_theta": values[part].pop("rope_parameters")["rope_theta"],
            "rope_scaling": None,
        }
    path.write_text(json.dumps(values))


def write_parkiet(directory: Path, tree: dict | None = None) -> None:
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(directory.resolve(), tree or parkiet_tree())


def write_pickle(directory: Path) -> Path:
    """Nari's `.pth`, with its config.json beside it."""
    import torch

    torch.save({name: torch.tensor(value) for name, value in nari_state().items()}, directory / "dia.pth")
    write_nari_config(directory / "config.json")
    return directory / "dia.pth"
