"""Where a server listens."""

from __future__ import annotations

import socket

import pytest

from rosella.errors import UserError
from rosella.web.listening import listen


def test_an_address_that_is_taken_is_said_at_once():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UserError, match="choose another --port"),
    ):
        listen("127.0.0.1", taken.getsockname()[1])
