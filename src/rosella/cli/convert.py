"""`rosella convert`: a model from one home to another."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from rosella.errors import UserError


def register(app: typer.Typer) -> None:
    app.command("convert")(convert)


def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="mini, a model directory, a checkpoint, a .pth or a hub name."),
    ],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="A new directory.")],
    to: Annotated[
        Literal["transformers", "nari", "rosella", "reference"],
        typer.Option(help="Whose format to write."),
    ],
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option(help="Store the weights so (default: as they are)."),
    ] = None,
    codec: Annotated[str | None, typer.Option(help="Another codec than the model's own.")] = None,
    without_codec: Annotated[
        bool, typer.Option("--without-codec", help="Leave the codec out of a Transformers folder.")
    ] = False,
    trained_text_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The decoder was trained on so many text positions, padding included (1024 for the weights of the "
            "JAX reference, which are recognised where they come as Orbax directories).",
        ),
    ] = None,
) -> None:
    """Convert a model between Rosella, Transformers, Nari's Dia and the JAX reference."""
    from rosella.cli.progress import progress
    from rosella.convert import conversion

    if codec and without_codec:
        raise UserError("--codec names a codec and --without-codec leaves it out: give one of them.")
    start = time.perf_counter()
    with progress("converting", conversion.PARTS) as update:
        done = conversion.convert(
            source,
            destination,
            to,
            dtype,
            trained_text_length,
            codec,
            not without_codec,
            update,
        )
    warning = conversion.find_warning(done.config, to)
    if warning:
        print(f"Beware: {warning}", file=sys.stderr)
    print(
        f"{destination}: {done.parameters / 1e6:,.1f} M parameters from {done.kind} to {to} in "
        f"{time.perf_counter() - start:.1f} s, at most {_peak() / 2**30:.2f} GiB of memory."
    )


def _peak() -> int:
    """The most memory that this process has held, in bytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
