"""Backups of the catalogue: one SQLite file, whatever the database; and what needs one, restoring and migrating."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from rosella.corpus.catalogue.connection import bring_to, connect, explained, one_file, reach, revisions
from rosella.corpus.catalogue.removal import purge, removed
from rosella.corpus.catalogue.tables import Base
from rosella.errors import UserError
from rosella.files import replacing

BACKUPS = "backups"
ROWS = 1000


@dataclass(frozen=True)
class Migrated:
    """From which revision to which, and the backup made before; no backup where nothing had to be done."""

    before: str
    after: str
    backup: Path | None


def backup(directory: Path, url: str, to: Path | None = None) -> Path:
    """Copy the catalogue as of one moment, while work may go on. Returns the file."""
    engine = reach(url)
    with explained(engine):
        current, _ = revisions(engine)
        if current is None:
            raise UserError(
                f"{engine.url.render_as_string(hide_password=True)} is empty: there is nothing to back up."
            )
        moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        path = to or directory / BACKUPS / f"catalogue-{moment}-{current}.sqlite"
        if path.exists():
            raise UserError(f"{path} exists: name another file.")
        with replacing(path) as temporary:
            if engine.dialect.name == "sqlite":
                _copy_sqlite(Path(str(engine.url.database)), temporary)
            else:
                copy = _empty(temporary, current)
                _copy_rows(engine, copy)
                one_file(copy)
    engine.dispose()
    return path


def restore(url: str, file: Path) -> int:
    """Put a backup in the catalogue's place; what was removed since stays removed. Returns its recordings.

    The backup may come from another kind of database. It is checked whole before anything is replaced.
    """
    _check(file)
    engine = connect(url, upgrade=True)
    gone = removed(engine)
    with TemporaryDirectory() as folder:
        copy = Path(folder, "backup.sqlite")
        _copy_sqlite(file, copy)
        source = connect(f"sqlite:///{copy}", upgrade=True)
        with explained(engine):
            _copy_rows(source, engine)
        source.dispose()
    purge(engine, gone)
    with engine.connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables["recordings"]))
    engine.dispose()
    return int(count or 0)


def migrate(directory: Path, url: str) -> Migrated:
    """Bring the catalogue to this program's version, after a backup."""
    engine = reach(url)
    with explained(engine):
        current, head = revisions(engine)
        if current is None or current == head:
            return Migrated(head, head, None)
        saved = backup(directory, url)
        bring_to(engine, "head")
    engine.dispose()
    return Migrated(current, head, saved)


def purge_backups(directory: Path, ids: Collection[str]) -> int:
    """Take recordings out of every backup of a corpus; returns how many there are."""
    backups = sorted((directory / BACKUPS).glob("*.sqlite"))
    for backup in backups:
        engine = connect(f"sqlite:///{backup}", upgrade=True)
        try:
            purge(engine, ids)
        finally:
            one_file(engine)
    return len(backups)


def _check(file: Path) -> None:
    if not file.is_file():
        raise UserError(f"{file} does not exist: name a backup.")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check").fetchone()
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{file} is not a whole backup ({error}): name another.") from None
    if found != "ok":
        raise UserError(f"{file} is damaged: name another backup.")


def _copy_sqlite(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)


def _empty(path: Path, revision: str) -> sa.Engine:
    engine = reach(f"sqlite:///{path}")
    bring_to(engine, revision)
    return engine


def _copy_rows(source: sa.Engine, target: sa.Engine) -> None:
    """Replace all rows of `target`, of the same revision, by those of `source` at one moment, in one transaction."""
    moment = {"isolation_level": "REPEATABLE READ"} if source.dialect.name == "postgresql" else {}
    with source.connect().execution_options(**moment, yield_per=ROWS) as here, target.begin() as there:
        present = set(sa.inspect(here).get_table_names())
        tables = [table for table in Base.metadata.sorted_tables if table.name in present]
        for table in reversed(tables):
            there.execute(sa.delete(table))
        for table in tables:
            rows = here.execute(sa.select(bare := _as_it_is(here, table)))
            for some in rows.mappings().partitions():
                there.execute(sa.insert(bare).inline(), [dict(row) for row in some])
            _count_on(there, table)


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Have the numbers that PostgreSQL gives new rows begin behind those of the rows that were copied."""
    column = table.autoincrement_column
    if connection.dialect.name == "postgresql" and column is not None:
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        behind = sa.func.coalesce(sa.func.max(column), 0) + 1
        connection.execute(sa.select(sa.func.setval(sequence, behind, False)).select_from(table))


def _as_it_is(connection: sa.Connection, table: sa.Table) -> sa.TableClause:
    """A table with the columns it has in the database, of the types the models know, and without defaults."""
    there = [column["name"] for column in sa.inspect(connection).get_columns(table.name)]
    return sa.table(table.name, *(sa.column(name, table.c[name].type) for name in there if name in table.c))
