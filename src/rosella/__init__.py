"""Rosella: from recordings of people talking to a model that speaks their language as dialogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rosella.speak import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """`rosella.load` without paying for JAX on `import rosella`."""
    if name == "load":
        from rosella.speak import load

        return load
    raise AttributeError(f"module 'rosella' has no attribute {name!r}")
