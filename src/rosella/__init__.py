"""Rosella: from recordings of people talking to a model that speaks their language as dialogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.speak import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]
__getattr__ = lazily(__name__, {"load": "speak"})
