"""Facts about the whole corpus that every worker must agree on, kept in the catalogue as JSON."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exc

from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import SettingRow


def read(database: Database, name: str) -> Any:
    """The value, or None where it was never written."""
    with database.session() as session:
        row = session.get(SettingRow, name)
        return None if row is None else row.value


def write(database: Database, name: str, value: Any) -> None:
    with database.session() as session:
        session.merge(SettingRow(name=name, value=value))


def keep(database: Database, name: str, value: Any) -> Any:
    """The value written first: of several workers that propose one, all get the same."""
    try:
        with database.session() as session:
            if session.get(SettingRow, name) is None:
                session.add(SettingRow(name=name, value=value))
    except exc.IntegrityError:
        pass
    return read(database, name)
