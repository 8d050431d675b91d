"""The embedded family: small weights, a demo podcast and its recipe, shipped with the package so that nothing is downloaded.

`codec/` the mel codec, `recogniser/` the verbatim recogniser, `model/` the speaking model, `known/` an export of some of
what that learned from, `podcast/` recordings with their manifest (most of them as audio alone) and held-out sentences,
`demo.yaml` the recipe of the demo.
`docs/mini.md` says how they were made and how good they are.
"""

from __future__ import annotations

from pathlib import Path

from rosella.errors import RosellaError


def path(name: str) -> Path:
    """Where a part of the family lies on disk: `codec`, `recogniser`, `model`, `known`, `podcast` or `demo.yaml`."""
    found = Path(__file__).parent / name
    if not found.exists():
        raise RosellaError(
            f"The embedded {name} is missing from {found.parent}: reinstall rosella-tts, or run `make mini`."
        )
    return found
