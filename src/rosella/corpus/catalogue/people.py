"""Tables of who may correct a corpus: people, their invitations and sessions, and passwords that were wrong of late.

Of what opens a door only a hash is kept.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rosella.corpus.catalogue.tables import Base

_HASH = String(64)
_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class PersonRow(Base):
    """Somebody who may come in, or, no longer `active`, once might; `folded` is the name as no other may be written."""

    __tablename__ = "people"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    folded: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(Text)
    created: Mapped[float] = mapped_column(Float(53))
    active: Mapped[bool] = mapped_column(Boolean)


class InvitationRow(Base):
    """By the SHA-256 of its token, in hexadecimal; it serves once, until it `expires` (unix seconds).

    Where it has a `person`, that one gets a new password by it, else somebody new comes.
    """

    __tablename__ = "invitations"

    token: Mapped[str] = mapped_column(_HASH, primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    expires: Mapped[float] = mapped_column(Float(53))
    used_by: Mapped[str | None] = mapped_column(Text)
    person: Mapped[str | None] = mapped_column(Text)


class SessionRow(Base):
    """A browser that is logged in, by the SHA-256 of its token; what it changes must carry `csrf`."""

    __tablename__ = "sessions"

    token: Mapped[str] = mapped_column(_HASH, primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.name", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(_HASH)
    expires: Mapped[float] = mapped_column(Float(53))


class AttemptRow(Base):
    """A password that was wrong, or is being looked at: `who` is the SHA-256 of a name or of an address."""

    __tablename__ = "attempts"

    number: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    who: Mapped[str] = mapped_column(_HASH, index=True)
    at: Mapped[float] = mapped_column(Float(53))
