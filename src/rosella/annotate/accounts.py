"""People, how they come to be, and how they get in again: by an invitation, which is a link that serves once."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Literal

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import exc
from sqlalchemy.orm import Session

from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.people import InvitationRow, PersonRow, SessionRow
from rosella.web.faults import Refusal

Role = Literal["annotator", "reviewer", "owner"]
ANNOTATOR, REVIEWER, OWNER = "annotator", "reviewer", "owner"
ROLES: tuple[Role, ...] = (ANNOTATOR, REVIEWER, OWNER)
"""Each may do what those before it may: correct; give second opinions and export; say who may come in."""

LOCAL = "local"
"""The name of the single user who needs no account."""

SHORTEST, LONGEST = 10, 1000
"""Characters of a password."""
_LONGEST_NAME = 64
_UNKNOWN_INVITATION = "This link was used, has expired or never was: ask for a new one."


@dataclass(frozen=True)
class Person:
    name: str
    role: Role


@dataclass(frozen=True)
class Invitation:
    """What a link is for: a new `person` of a role, where that is None, else a new password for the one of that name."""

    role: Role
    person: str | None


class Accounts:
    """People, in the catalogue. What somebody did wrong is a Refusal."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database, self._limits = database, limits
        self._hasher, self._hashing = PasswordHasher(), threading.Semaphore(limits.hashing)

    def wanted(self) -> bool:
        """Whether there are people, or somebody was invited to be one."""
        people = sa.exists().where(PersonRow.active)
        invited = sa.exists().where(InvitationRow.used_by.is_(None), InvitationRow.expires > time.time())
        with self._database.session() as session:
            return bool(session.scalar(sa.select(people | invited)))

    def has_owner(self) -> bool:
        with self._database.session() as session:
            return _owners(session) > 0

    def invite(self, role: Role) -> str:
        """The token of a new invitation."""
        with self._database.session() as session:
            return self._invite(session, role)

    def let_in_again(self, name: str) -> str:
        """The token of an invitation by which somebody gets a new password; those before it serve no more."""
        with self._database.session() as session:
            row = _active(session, name)
            session.execute(_invitations_of(row.name))
            return self._invite(session, row.role, row.name)

    def invitation(self, token: str) -> Invitation:
        """What an invitation that still serves is for."""
        query = sa.select(InvitationRow.role, InvitationRow.person).where(*_open(token))
        with self._database.session() as session:
            row = session.execute(query).first()
        if row is None:
            raise _unknown_invitation()
        return Invitation(*row)

    def join(self, token: str, name: str, password: str) -> Person:
        """Use an invitation; where the name cannot be had, it stays. Who gets a new password by it keeps the old name."""
        known = self.invitation(token).person
        name, secret = known or _name(name), _password(password)
        with self._hashing:
            kept = self._hasher.hash(secret)
        try:
            with self._database.session() as session:
                return _join(session, token, name, kept) if known is None else _renew(session, token, kept)
        except exc.IntegrityError:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "Somebody has that name: choose another.",
                param="name",
                code="name_taken",
            ) from None

    def who(self, name: str, password: str) -> Person | None:
        """Whose name and password these are. Unknown names take as long as wrong passwords."""
        query = sa.select(PersonRow.name, PersonRow.role, PersonRow.password).where(PersonRow.active)
        row = None
        if (known := folded(name)).isprintable():
            with self._database.session() as session:
                row = session.execute(query.where(PersonRow.folded == known)).first()
        right = self._verify(row.password if row else self._nobodys, password)
        return Person(row.name, row.role) if row and right else None

    def people(self) -> list[tuple[Person, float]]:
        """Who may come in, and since when (unix seconds)."""
        query = sa.select(PersonRow).where(PersonRow.active).order_by(PersonRow.created)
        with self._database.session() as session:
            return [(Person(row.name, row.role), row.created) for row in session.scalars(query)]  # type: ignore[arg-type]

    def dismiss(self, name: str) -> None:
        """Let somebody in no more; what he did stays. The last owner stays too."""
        with self._database.session() as session:
            row = _active(session, name)
            had = _owners(session)
            row.active = False
            session.flush()
            if had and not _owners(session):
                raise Refusal(
                    HTTPStatus.CONFLICT,
                    "The last owner cannot be dismissed: invite another first.",
                    code="last_owner",
                )
            session.execute(sa.delete(SessionRow).where(SessionRow.person == row.name))
            session.execute(_invitations_of(row.name))

    def _invite(self, session: Session, role: str, person: str | None = None) -> str:
        token, expires = secrets.token_urlsafe(32), time.time() + self._limits.invitation
        row = InvitationRow(token=hashed(token), role=role, expires=expires, used_by=None, person=person)
        session.add(row)
        return token

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def _verify(self, kept: str, password: str) -> bool:
        with self._hashing:
            try:
                return self._hasher.verify(kept, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False


def folded(name: str) -> str:
    """What all ways to write a name have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().casefold())


def hashed(token: str) -> str:
    """What is kept of a token; it is random, so that no slow hash is needed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _open(token: str) -> tuple[sa.ColumnElement[bool], ...]:
    row = InvitationRow
    return row.token == hashed(token), row.used_by.is_(None), row.expires > time.time()


def _unknown_invitation() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, _UNKNOWN_INVITATION, code="invitation_not_found")


def _invitations_of(name: str) -> sa.Delete:
    """Takes away the links by which somebody would get a new password."""
    return sa.delete(InvitationRow).where(InvitationRow.person == name, InvitationRow.used_by.is_(None))


def _active(session: Session, name: str) -> PersonRow:
    """Somebody who may come in, however the name is written."""
    query = sa.select(PersonRow).where(PersonRow.folded == folded(name), PersonRow.active)
    row = session.scalar(query) if name.isprintable() else None
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is nobody of that name.", code="person_not_found")
    return row


def _join(session: Session, token: str, name: str, password: str) -> Person:
    use = sa.update(InvitationRow).where(*_open(token)).values(used_by=name).returning(InvitationRow.role)
    role = session.scalar(use)
    if role is None:
        raise _unknown_invitation()
    session.add(
        PersonRow(
            name=name, folded=folded(name), role=role, password=password, created=time.time(), active=True
        )
    )
    return Person(name, role)  # type: ignore[arg-type]


def _renew(session: Session, token: str, password: str) -> Person:
    """The new password holds from now on, and in no browser the login of before."""
    use = sa.update(InvitationRow).where(*_open(token)).values(used_by=InvitationRow.person)
    name = session.scalar(use.returning(InvitationRow.person))
    change = sa.update(PersonRow).where(PersonRow.name == name, PersonRow.active).values(password=password)
    role = session.scalar(change.returning(PersonRow.role))
    if name is None or role is None:
        raise _unknown_invitation()
    session.execute(sa.delete(SessionRow).where(SessionRow.person == name))
    return Person(name, role)  # type: ignore[arg-type]


def _owners(session: Session) -> int:
    """How many there are; who changes their number waits for the others who do."""
    query = sa.select(PersonRow.name).where(PersonRow.role == OWNER, PersonRow.active).with_for_update()
    return len(session.scalars(query).all())


def _name(name: str) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or set(name) & set("/\\?#%"):
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"A name has 1 to {_LONGEST_NAME} letters, without / \\ ? # and %: choose another.",
            param="name",
        )
    if folded(name) == LOCAL:
        raise Refusal(
            HTTPStatus.CONFLICT, "That name is taken: choose another.", param="name", code="name_taken"
        )
    return name


def _password(password: str) -> bytes:
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"A password has {SHORTEST} to {LONGEST:,} characters: choose another.",
            param="password",
        )
    return _bytes(password)


def _bytes(password: str) -> bytes:
    """The same whatever keyboard typed it."""
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
