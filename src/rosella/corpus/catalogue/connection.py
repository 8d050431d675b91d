"""How a catalogue's database is reached, brought up to date, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

# Who reaches a database knows all of its tables.
from rosella.corpus.catalogue import annotating, people  # noqa: F401  # pyright: ignore[reportUnusedImport]
from rosella.errors import NoSpace, RosellaError, UserError

UPGRADE_LOCK = 0x526F73656C6C61
PATIENCE = 30.0
"""Seconds to wait for another process that has the file."""


class Unavailable(RosellaError):
    """The database does not answer. What was committed is kept; the same again is safe once it is back."""


def connect(url: str, upgrade: bool = False) -> sa.Engine:
    """An engine for SQLite or PostgreSQL, its tables made where there are none.

    A UserError says why it cannot be: also tables of another version, but those of an older one may be upgraded.
    """
    engine = reach(url)
    with explained(engine):
        current, head = revisions(engine)
        if current is not None and current != head and not upgrade:
            place = engine.url.render_as_string(hide_password=True)
            raise UserError(
                f"{place} was made by an older Rosella: run `rosella corpus migrate`, which backs it up first."
            )
        if current != head:
            bring_to(engine, "head")
    return engine


def reach(url: str) -> sa.Engine:
    """An engine, whatever is in the database."""
    try:
        engine = sa.create_engine(_with_driver(url), pool_pre_ping=True)
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(
            f"The catalogue URL cannot be used ({error}); give sqlite:///… or install rosella-tts[postgres]."
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    return engine


def _with_driver(url: str) -> str:
    """`postgresql://` means psycopg 3: the driver that SQLAlchemy would take by default is not ours."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme in ("postgres", "postgresql") else url


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}")
    _keep_a_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _keep_a_log(connection: Any) -> None:
    """Write ahead; where another process turns a new file to that just now, SQLite does not wait by itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def explained(engine: sa.Engine) -> Generator[None]:
    """Turn what the database says into one sentence."""
    try:
        yield
    except exc.DatabaseError as error:
        place = engine.url.render_as_string(hide_password=True)
        text = " ".join(str(error.orig).split())
        if "disk is full" in text or "disk I/O error" in text or "No space left" in text:
            raise NoSpace(
                f"No space left for the catalogue {place}: free some and run the same command again, "
                "what is done is kept."
            ) from error
        if isinstance(error, exc.IntegrityError):
            raise
        if "not a database" in text or "malformed" in text:
            raise UserError(
                f"{place} is not a catalogue or is damaged: restore it or move it away."
            ) from error
        raise Unavailable(
            f"The catalogue {place} cannot be used ({text}): check that it is there."
        ) from error


def revisions(engine: sa.Engine) -> tuple[str | None, str]:
    """The catalogue's revision, None where it is empty, and this program's; a UserError where it is newer."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_alembic())
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        place = engine.url.render_as_string(hide_password=True)
        raise UserError(f"{place} was made by a newer Rosella (revision {current}): install that version.")
    return current, str(script.get_current_head())


def bring_to(engine: sa.Engine, revision: str) -> None:
    """Make or upgrade the tables; of several processes that start together one does it, and the others wait."""
    from alembic import command

    config = _alembic()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def one_file(engine: sa.Engine) -> None:
    """Close SQLite, and bring what it keeps beside the file into it."""
    engine.dispose()
    with closing(sqlite3.connect(str(engine.url.database))) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
