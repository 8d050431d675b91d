"""`rosella serve`: speech over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rosella.cli.speak import Backend, BlockSize, Passes, blocks_of
from rosella.errors import UserError

KEYS = "ROSELLA_API_KEYS"
LOCAL = ("127.0.0.1", "::1", "localhost")


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    model: Annotated[str, typer.Option(help="mini, a model directory, or a hub name.")] = "mini",
    codec: Annotated[str | None, typer.Option(help="Another codec than the model's own.")] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere and needs API keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    places: Annotated[
        int | None,
        typer.Option(min=1, help="Requests that speak at once (default: as many as are made in time)."),
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that wait for a place.")] = 16,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds that a request may take.")] = 300.0,
    voices: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where voices lie (default: ROSELLA_VOICES, or your data)."),
    ] = None,
    recogniser: Annotated[
        str, typer.Option(help="Who hears consents and samples: mini, a directory, or a Whisper on the hub.")
    ] = "mini",
    blocks: BlockSize = None,
    passes: Passes = None,
    backend: Backend = "jax",
) -> None:
    """Serve speech as OpenAI's API has it, and a page to try it.

    API keys are read from the environment, ROSELLA_API_KEYS=key,key; a file .env beside you may hold them.
    """
    keys = [key.strip() for key in os.environ.get(KEYS, "").split(",") if key.strip()]
    if host not in LOCAL and not keys:
        raise UserError(
            f"{host} can be reached by others: set {KEYS} (keys with commas between them), or listen at 127.0.0.1."
        )
    try:
        from rosella.serve.run import run
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is missing: pip install 'rosella-tts[serve]'.") from error
    from rosella.serve.settings import Limits

    limits, at_once = Limits(queue=queue, deadline=deadline), blocks_of(blocks, passes)
    run(model, codec, host, port, places, limits, voices, recogniser, keys, at_once, backend)
