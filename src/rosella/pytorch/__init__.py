"""The same generations, computed by PyTorch with Transformers' modules and without JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.pytorch.models import load_model
    from rosella.pytorch.table import Table

__all__ = ["Table", "load_model"]
__getattr__ = lazily(__name__, {"Table": "table", "load_model": "models"})
