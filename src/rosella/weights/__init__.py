"""A model's weights, wherever they lie and whoever wrote them: found, described, loaded and saved."""

from rosella.weights.homes import Home, open_home
from rosella.weights.models import load_model, save_model
from rosella.weights.paths import find_model

__all__ = ["Home", "find_model", "load_model", "open_home", "save_model"]
