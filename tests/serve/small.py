"""A server with a small model that speaks noise, by the real codec."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from rosella.serve.app import create_app
from rosella.serve.ears import Ears
from rosella.serve.settings import Limits
from rosella.serve.studio import Studio
from rosella.web.listening import server_of
from tiny_dia import shaped

CONFIG = shaped(codebooks=8, entries=256, delays=tuple(range(8)), steps=128, layers=1)
"""Room for 119 frames, 2.4 s, and 64 bytes of text."""
KEY = "sesame"
LIMITS = Limits(queue=2, patience=20, deadline=60, opening=2, silence=2)


@contextlib.contextmanager
def serving(studio: Studio, keys: list[str]) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = server_of(create_app(studio, Ears(), keys), studio.limits.opening, studio.limits.drain)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
