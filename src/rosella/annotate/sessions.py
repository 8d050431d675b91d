"""Browsers that are logged in."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from rosella.annotate.accounts import Person, Role, hashed
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.people import PersonRow, SessionRow


@dataclass(frozen=True)
class Visitor:
    """Who asks; what he changes must carry `csrf`. A `local` one has no account."""

    name: str
    role: Role
    csrf: str
    local: bool = False


class Sessions:
    """They are kept in the catalogue: a server that is started anew knows them."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database, self._limits = database, limits

    def open(self, person: Person) -> str:
        """The token of a new session."""
        token, now = secrets.token_urlsafe(32), time.time()
        row = SessionRow(
            token=hashed(token),
            person=person.name,
            csrf=secrets.token_urlsafe(32),
            expires=now + self._limits.session,
        )
        with self._database.session() as session:
            session.execute(sa.delete(SessionRow).where(SessionRow.expires < now))
            session.add(row)
        return token

    def find(self, token: str) -> Visitor | None:
        """Whose session it is, while he may come in."""
        query = (
            sa.select(PersonRow.name, PersonRow.role, SessionRow.csrf)
            .join(SessionRow, SessionRow.person == PersonRow.name)
            .where(SessionRow.token == hashed(token), SessionRow.expires > time.time(), PersonRow.active)
        )
        with self._database.session() as session:
            row = session.execute(query).first()
        return None if row is None else Visitor(*row)

    def end(self, token: str) -> None:
        with self._database.session() as session:
            session.execute(sa.delete(SessionRow).where(SessionRow.token == hashed(token)))
