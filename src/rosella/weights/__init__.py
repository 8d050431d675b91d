"""A model's weights, wherever they lie and whoever wrote them: found, described, loaded and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.weights.homes import Home, open_home
    from rosella.weights.models import interpolate, load_model, save_model
    from rosella.weights.paths import find_model

__all__ = ["Home", "find_model", "interpolate", "load_model", "open_home", "save_model"]
_HOMES = {
    "Home": "homes",
    "open_home": "homes",
    "interpolate": "models",
    "load_model": "models",
    "save_model": "models",
    "find_model": "paths",
}
__getattr__ = lazily(__name__, _HOMES)
