"""Numbers as people read them, on the terminal and on pages."""

from __future__ import annotations

import math

DASH = "–"
"""Where there was nothing to measure."""


def percent(share: float | None, digits: int = 0, space: str = "") -> str:
    """Of a share from 0 to 1."""
    return DASH if share is None or math.isnan(share) else f"{100 * share:.{digits}f}{space}%"


def counted(number: int, noun: str) -> str:
    """Such as "1 voice" and "1,200 voices"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Such as "2.5 min" and "1,200.0 h"."""
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
