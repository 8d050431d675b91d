"""A server at an address, and the connections that it keeps."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from rosella.errors import UserError

LOCAL = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine reaches."""


def listen(host: str, port: int) -> socket.socket:
    """Taken before anything is loaded, so that an address in use is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"Cannot listen at {host}:{port} ({error.strerror}): choose another --port or --host."
        ) from error


def server_of(
    app: ASGIApp,
    opening: float,
    drain: int,
    message: int = 1 << 20,
    leaving: Callable[[], None] | None = None,
) -> uvicorn.Server:
    """A server that keeps no connection whose request, once begun, does not come to its end.

    A request has `opening` seconds to be there whole; told to stop, the server calls `leaving` and gives answers under way
    `drain` seconds. A WebSocket's message has at most `message` bytes.
    """

    class Prompt(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._late = self.loop.call_later(opening, self._close_late)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._coming():
                self._late.cancel()
            elif self._late.cancelled():
                self._late = self.loop.call_later(opening, self._close_late)

        def _coming(self) -> bool:
            mine = self.transport.get_protocol() is self  # or it has become a WebSocket's
            return mine and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

        def _close_late(self) -> None:
            if self._coming():
                self.transport.close()

    class Leaving(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if leaving is not None:
                leaving()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        http=Prompt,
        ws_max_size=message,
        log_level="warning",
        timeout_keep_alive=int(opening),
        timeout_graceful_shutdown=drain,
        server_header=False,
    )
    return Leaving(config)
