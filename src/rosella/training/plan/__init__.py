"""What a recipe will take on some hardware, before it is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.training.plan.hardware import Hardware, find
    from rosella.training.plan.planning import Plan, plan
    from rosella.training.plan.prices import Prices, load_prices

__all__ = ["Hardware", "Plan", "Prices", "find", "load_prices", "plan"]
__getattr__ = lazily(
    __name__,
    {
        "Hardware": "hardware",
        "find": "hardware",
        "Plan": "planning",
        "plan": "planning",
        "Prices": "prices",
        "load_prices": "prices",
    },
)
