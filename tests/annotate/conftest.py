"""A corpus of two recordings for tests of its server, and the server over it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotate.small import Client, add_recordings, client_of, joined
from rosella.annotate.desk import Desk
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.connection import one_file
from rosella.corpus.catalogue.store import Catalogue


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their sound, and a catalogue that knows them, to be copied."""
    folder = tmp_path_factory.mktemp("recordings")
    catalogue = Catalogue.open(f"sqlite:///{folder}/c.sqlite")
    add_recordings(catalogue, folder)
    one_file(catalogue.engine)
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def catalogue(request, recordings: Path, tmp_path: Path) -> Iterator[Catalogue]:
    if request.param == "postgresql":
        opened = Catalogue.open(request.getfixturevalue("postgres_url"))
        add_recordings(opened, recordings)
    else:
        shutil.copy(recordings / "c.sqlite", tmp_path)
        opened = Catalogue.open(f"sqlite:///{tmp_path}/c.sqlite")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def empty(request, tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue without recordings."""
    if request.param == "postgresql":
        opened = Catalogue.open(request.getfixturevalue("postgres_url"))
    else:
        opened = Catalogue.open(f"sqlite:///{tmp_path}/empty.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def alone(catalogue: Catalogue, limits: Limits) -> Desk:
    """Of a single user."""
    return Desk(catalogue, "talks", "/talks", local=True, limits=limits)


@pytest.fixture
def shared(catalogue: Catalogue, limits: Limits) -> Desk:
    """Of people with accounts."""
    return Desk(catalogue, "talks", "/talks", local=False, limits=limits)


@pytest.fixture
def local(alone: Desk) -> Iterator[Client]:
    with client_of(alone) as client:
        yield client


@pytest.fixture
def shared_people(shared: Desk) -> Iterator[tuple[Client, Client]]:
    """Two annotators of one server."""
    with client_of(shared) as client:
        yield joined(shared, client, "Anna", "annotator"), joined(shared, client, "Ben", "annotator")
