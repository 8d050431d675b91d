"""Options that the verbs of `rosella corpus` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def without_password(url: str) -> str:
    """The URL; refused with a password, which others see among the arguments of running programs."""
    from urllib.parse import urlsplit

    from rosella.errors import UserError

    if urlsplit(url).password:
        raise UserError(
            "Passwords do not belong among arguments: put the URL into ROSELLA_CATALOGUE or .env."
        )
    return url


Directory = Annotated[Path, typer.Option("--corpus", help="The corpus directory.", metavar="DIR")]
CatalogueUrl = Annotated[
    str | None,
    typer.Option(
        "--catalogue",
        help="Database URL of the catalogue instead of DIR/catalogue.sqlite.",
        callback=lambda url: url and without_password(url),
    ),
]
