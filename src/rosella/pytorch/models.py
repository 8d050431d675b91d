"""Models in the layout of Transformers, loaded without JAX."""

from __future__ import annotations

import os
from typing import Any

import torch
from transformers import DiaForConditionalGeneration

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.pytorch.generate import Model
from rosella.weights.configs import CONFIG, read_config
from rosella.weights.paths import find_model, weight_files
from rosella.weights.tensors import open_files

PRECISIONS = ("float32", "bfloat16")


def load_model(
    name_or_path: str | os.PathLike[str], precision: str = "float32", device: str | torch.device = "cpu"
) -> tuple[Model, DiaConfig]:
    """A model directory of Rosella or Transformers, `mini`, or such a hub name; computed in `precision`.

    Raises UserError for other homes of a model, incomplete weights, and a precision that PyTorch has not here.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"PyTorch computes in {' or '.join(PRECISIONS)} here, not {precision}: leave out --backend."
        )
    path = find_model(name_or_path)
    if not path.is_dir() or not any(
        name.startswith("model.") for name in open_files(weight_files(path)).stored
    ):
        raise UserError(
            f"PyTorch reads models in the layout of Transformers, and {path} is none: "
            "run rosella convert MODEL FOLDER --to transformers, and name that folder."
        )
    config = read_config(path / CONFIG)
    found: Any = DiaForConditionalGeneration.from_pretrained(
        path, dtype=getattr(torch, precision), output_loading_info=True
    )
    loaded, info = found
    wrong = sorted({*info["missing_keys"], *info["unexpected_keys"], *map(str, info["mismatched_keys"])})
    if wrong:
        raise UserError(
            f"The weights in {path} do not fit its configuration ({', '.join(wrong)}); use files of one model."
        )
    return Model(loaded.eval().to(device), config), config
