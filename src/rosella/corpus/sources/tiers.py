"""The tiers of ELAN and Praat files that hold no speaker's own words, as Rosella writes them beside those that do."""

from __future__ import annotations

COMMENT, VERDICT, OVERLAP = "COMMENT", "VERDICT", "OVERLAP"
"""What is remarked of a span, what was decided about it, and where several speak or nothing can be used."""

CLEAN = " (clean)"
"""Ends the name of the tier of a speaker's clean text."""


def speaks(name: str) -> bool:
    """Whether the tier of this name holds what is said, verbatim."""
    return name not in (COMMENT, VERDICT, OVERLAP) and not name.endswith(CLEAN)
