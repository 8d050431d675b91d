"""One request of a person: known by its author's key, done once however often it is sent, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.clips import opened
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import CorrectionRow
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState
from rosella.errors import UserError
from rosella.failpoints import failpoint

CORRECT = "correct"
"""What corrections are called among the stages, for failpoints."""

_KEY_LENGTH = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """Whose it is, what he calls it, how long he worked on each of its parts, and with what else it belongs together."""

    author: str
    key: str
    seconds: float | None = None
    batch: str | None = None


def once(database: Database, request: Request, change: Callable[[Session], T]) -> T:
    """A transaction of a request; of two that send the same at once, the second finds what the first did."""
    if not request.key.isprintable() or not 0 < len(request.key) <= _KEY_LENGTH:
        raise UserError(
            f"A request needs a key of 1 to {_KEY_LENGTH} printable characters: give one of its own."
        )
    try:
        return _committed(database, change)
    except exc.IntegrityError:
        return _committed(database, change)


def _committed(database: Database, change: Callable[[Session], T]) -> T:
    with database.session() as session:
        result = change(session)
        session.flush()
        failpoint("in-commit", CORRECT)
    failpoint("after-commit", CORRECT)
    return result


def of_request(request: Request) -> sa.Select[CorrectionRow]:
    return (
        sa.select(CorrectionRow)
        .where(CorrectionRow.author == request.author, CorrectionRow.key == request.key)
        .order_by(CorrectionRow.part)
    )


def answered(
    session: Session, request: Request, asked: Sequence[tuple[str, int]] = ()
) -> list[AnnotatedClip] | None:
    """What the same request gave before; None where it is new.

    A UserError where it `asked` for other clips or versions then: it is not the same, and would be lost.
    """
    rows = session.scalars(of_request(request)).all()
    if rows and asked and [(row.clip, (row.version or 0) - 1) for row in rows] != list(asked):
        raise UserError(
            "The key of this request was another one's before: give each request a key of its own."
        )
    clips: list[AnnotatedClip] = []
    for row in rows:
        if row.clip is not None:
            now = opened(session, row.clip)
            state = now.names.state(ClipState.from_dict(row.after), row.number)
            clips.append(replace(now.clip, version=row.version or 0, state=state))
    return clips if rows else None


def to_row(request: Request, part: int, **values: Any) -> CorrectionRow:
    return CorrectionRow(
        **values,
        author=request.author,
        key=request.key,
        part=part,
        seconds=request.seconds,
        batch=request.batch,
        at=time.time(),
    )
