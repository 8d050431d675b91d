"""The server as a process: what it loads and compiles."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rosella.serve import capacity
from rosella.serve.app import create_app
from rosella.serve.ears import Ears
from rosella.serve.engine import Engine
from rosella.serve.settings import Limits
from rosella.serve.studio import Studio
from rosella.speak import VoiceShelf, compiled, load
from rosella.speak.provenance import model_name
from rosella.web.listening import listen, server_of

if TYPE_CHECKING:
    from rosella.inference.settings import Blocks
    from rosella.speak.speaker import Backend

MOST = 64
"""Places beyond which no more are tried."""


def run(
    model: str,
    codec: str | None,
    host: str,
    port: int,
    places: int | None,
    limits: Limits,
    voices: Path | None,
    recogniser: str,
    keys: Sequence[str],
    blocks: Blocks | None,
    backend: Backend,
) -> None:
    """Serve until SIGTERM or Ctrl-C; speeches under way are then heard to their end. Arguments are those of the command."""
    with listen(host, port) as listening, compiled(backend):
        print(f"Loading {model} and compiling what it needs (once for this machine) ...", flush=True)
        speaker = load(model, codec, backend=backend)
        places = places or capacity.places_of(speaker, speaker.table(MOST, blocks))
        capacity.warm(speaker, speaker.table(places, blocks))
        studio = Studio(
            speaker,
            Engine(lambda: speaker.table(places, blocks)),
            model_name(model),
            VoiceShelf(voices),
            places,
            limits,
            blocks,
        )
        app = create_app(studio, Ears(recogniser), keys)
        address = f"http://{host}:{listening.getsockname()[1]}"
        print(f"{studio.name} speaks at {address}, {places} at a time.", flush=True)
        with suppress(KeyboardInterrupt):  # raised once all is said
            server_of(app, limits.opening, limits.drain, limits.body).run(sockets=[listening])
        print("Stopped.", flush=True)
