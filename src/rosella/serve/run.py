"""The server as a process: what it loads and compiles, and the connections that it keeps."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from rosella.errors import UserError
from rosella.inference.programs import kept, programs_folder
from rosella.serve import capacity
from rosella.serve.app import create_app
from rosella.serve.ears import Ears
from rosella.serve.engine import Engine
from rosella.serve.settings import Limits
from rosella.serve.studio import Studio
from rosella.speak import VoiceShelf, load
from rosella.speak.provenance import model_name

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
) -> None:
    """Serve until SIGTERM or Ctrl-C; speeches under way are then heard to their end. Arguments are those of the command."""
    with listen(host, port) as listening, kept(programs_folder()):
        print(f"Loading {model} and compiling what it needs (once for this machine) ...", flush=True)
        speaker = load(model, codec)
        places = places or capacity.places_of(speaker, speaker.table(MOST))
        capacity.warm(speaker, speaker.table(places))
        studio = Studio(
            speaker,
            Engine(lambda: speaker.table(places)),
            model_name(model),
            VoiceShelf(voices),
            places,
            limits,
        )
        app = create_app(studio, Ears(recogniser), keys)
        address = f"http://{host}:{listening.getsockname()[1]}"
        print(f"{studio.name} speaks at {address}, {places} at a time.", flush=True)
        with suppress(KeyboardInterrupt):  # raised once all is said
            server_of(app, limits).run(sockets=[listening])
        print("Stopped.", flush=True)


def listen(host: str, port: int) -> socket.socket:
    """Taken before anything is loaded, so that an address in use is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"Cannot listen at {host}:{port} ({error.strerror}): choose another --port or --host."
        ) from error


def server_of(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """A server that keeps no connection whose request, once begun, does not come to its end."""

    class Prompt(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._late = self.loop.call_later(limits.opening, self._close_late)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._coming():
                self._late.cancel()
            elif self._late.cancelled():
                self._late = self.loop.call_later(limits.opening, self._close_late)

        def _coming(self) -> bool:
            mine = self.transport.get_protocol() is self  # or it has become a WebSocket's
            return mine and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

        def _close_late(self) -> None:
            if self._coming():
                self.transport.close()

    config = uvicorn.Config(
        app,
        http=Prompt,
        ws_max_size=limits.body,
        log_level="warning",
        timeout_keep_alive=int(limits.opening),
        timeout_graceful_shutdown=limits.drain,
        server_header=False,
    )
    return uvicorn.Server(config)
