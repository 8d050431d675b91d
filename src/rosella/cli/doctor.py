"""`rosella doctor`: is this machine ready?"""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor() -> None:
    """Show devices, versions, optional parts and free disk."""
    print("being written")
