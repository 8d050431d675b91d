"""The database of a catalogue: transactions, which all that is kept there goes through."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.connection import connect, explained
from rosella.stopping import undisturbed


class Database:
    """Open with `Database.open(url)`; close when done."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open, and make the tables where there are none. A UserError says why it cannot be used."""
        return cls(connect(url))

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def session(self) -> Generator[Session]:
        """One transaction; a crash leaves the state before or after it.

        An interruption waits for its end: in the midst of it, it would leave a connection that holds the database's lock.
        """
        with undisturbed(), self.long_session() as session:
            yield session

    @contextmanager
    def long_session(self) -> Generator[Session]:
        """A transaction that only reads, for as long as its reader takes: it may be broken off."""
        with explained(self.engine), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def snapshot(self) -> Generator[Session]:
        """A transaction that only reads, and reads everything as of one moment."""
        with self.long_session() as session:
            if self.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            else:  # its driver begins none before something is written
                session.connection().exec_driver_sql("BEGIN")
            yield session
