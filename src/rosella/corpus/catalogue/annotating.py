"""Tables of the work on clips: what waits for people, what was judged, and what two people made of the same clip."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rosella.corpus.catalogue.tables import Base

WAITING, AGAIN, SECOND = "waiting", "again", "second"
"""A clip of the queue waits for anybody, for another than its `first` reader, or for a reviewer."""


def _recording() -> Mapped[str]:
    return mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)


class QueueRow(Base):
    """A clip that waits for a person. `priority` is expected errors for a second of work of anybody, by the model `model`.

    `utterance` is the first that the clip became, null once that is not there any more: then the row is out of date.
    Who has the clip open is its `holder`, `until` a moment of the database's clock.
    """

    __tablename__ = "queue"
    __table_args__ = (Index("ix_queue_order", "kind", "priority", "errors", "length"),)

    clip: Mapped[str] = mapped_column(String(64), primary_key=True)
    recording: Mapped[str] = _recording()
    utterance: Mapped[str | None] = mapped_column(
        ForeignKey("utterances.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str] = mapped_column(String(8), default=WAITING)
    first: Mapped[str | None] = mapped_column(Text)
    features: Mapped[list[float]] = mapped_column(JSON)
    words: Mapped[int] = mapped_column(Integer)
    length: Mapped[float] = mapped_column(Float(53))
    errors: Mapped[float] = mapped_column(Float(53))
    priority: Mapped[float] = mapped_column(Float(53))
    model: Mapped[int] = mapped_column(Integer, index=True)
    holder: Mapped[str | None] = mapped_column(Text, index=True)
    until: Mapped[float] = mapped_column(Float(53), default=0.0)


class JudgedRow(Base):
    """What was found wrong in a clip that a person accepted or rejected, and the seconds that all people worked on it.

    `features` and `words` are those of its draft in the queue, null where it was not in there.
    """

    __tablename__ = "judged"

    clip: Mapped[str] = mapped_column(String(64), primary_key=True)
    recording: Mapped[str] = _recording()
    author: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(16))
    at: Mapped[float] = mapped_column(Float(53), index=True)
    features: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True))
    words: Mapped[int | None] = mapped_column(Integer)
    length: Mapped[float] = mapped_column(Float(53))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    substituted: Mapped[int] = mapped_column(Integer)
    inserted: Mapped[int] = mapped_column(Integer)
    deleted: Mapped[int] = mapped_column(Integer)
    speaker: Mapped[int] = mapped_column(Integer)
    times: Mapped[int] = mapped_column(Integer)


class ReadingRow(Base):
    """What a second person made of a clip without seeing the work of the first, and how far they agree.

    `state` and `other`, what the first had made of it, are `ClipState`s. Until the second is done, nothing is compared and
    `at` is null. Nothing is trained on it: the clip stays the first's until somebody corrects that.
    """

    __tablename__ = "readings"

    clip: Mapped[str] = mapped_column(String(64), primary_key=True)
    author: Mapped[str] = mapped_column(Text, primary_key=True)
    recording: Mapped[str] = _recording()
    first: Mapped[str] = mapped_column(Text)
    at: Mapped[float | None] = mapped_column(Float(53))
    length: Mapped[float] = mapped_column(Float(53))
    work: Mapped[float | None] = mapped_column(Float(53))
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
    other: Mapped[dict[str, Any]] = mapped_column(JSON)
    words: Mapped[int] = mapped_column(Integer)
    edits: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float(53))
    agreed: Mapped[float] = mapped_column(Float(53))


class EffortRow(Base):
    """What is known of how a person works, as `annotate.effort.Effort` keeps it."""

    __tablename__ = "effort"

    person: Mapped[str] = mapped_column(Text, primary_key=True)
    known: Mapped[dict[str, Any]] = mapped_column(JSON)
