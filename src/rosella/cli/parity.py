"""`rosella parity`: are two homes of a model the same model?"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rosella.errors import RosellaError

if TYPE_CHECKING:
    from rosella.parity.compare import Parity, Row

HOME = "mini, a model directory or file of any kind that convert reads, or a hub name."


def register(app: typer.Typer) -> None:
    app.command("parity")(parity)


def parity(
    a: Annotated[str, typer.Argument(metavar="A", help=HOME)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another home of that model.")],
    frames: Annotated[int | None, typer.Option(help="To generate (default 200, or what fits).")] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Compute type; only float32 has bounds.")
    ] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Compare two homes of a model stage by stage; exit code 1 where they differ."""
    with redirect_stdout(sys.stderr):
        found = compare(a, b, frames, dtype)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        show(found)
    first = found.divergence
    if first:
        raise RosellaError(
            f"The two differ from the {first.stage} on: {_error(first)} where {first.bound:g} is allowed."
        )


def compare(a: str, b: str, frames: int | None, dtype: str) -> Parity:
    """The comparison, with progress on standard error."""
    from rosella.cli.progress import progress
    from rosella.parity import compare, trace

    with progress("comparing", 2 * len(trace.PARTS)) as update:
        return compare.compare(a, b, frames, dtype, update)


def show(found: Parity) -> None:
    """The table on the terminal, the first divergence marked."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "stage", "error", "bound", "remark", box=None)
    for row in found.rows:
        mark = ">" if row is found.divergence else "x" if row.broken else ""
        bound = "-" if row.bound is None else f"{row.bound:g}"
        table.add_row(mark, row.stage, _error(row), bound, row.remark)
    console = Console()
    console.print(f"A  {found.homes[0]}\nB  {found.homes[1]}\n", highlight=False, soft_wrap=True)
    console.print(table)


def _error(row: Row) -> str:
    return f"{row.error:.1e}" if row.error else "0"
