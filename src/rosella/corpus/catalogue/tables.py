"""Tables of the catalogue. Keys are natural (content hash, span): running anything twice changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PENDING, DONE, FAILED = "pending", "done", "failed"
MANIFEST, DIARIZER = "manifest", "diarizer"


def kind_of(reason: str) -> str:
    """A reason with … for its words that hold digits."""
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in reason.split())


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )


def _recording() -> Mapped[str]:
    return mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True)


class RecordingRow(Base):
    """A recording, or a file that could not be read (state `scan` says why). Size and mtime spare hashing."""

    __tablename__ = "recordings"
    __table_args__ = (Index("ix_recordings_duration", "duration"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    path: Mapped[str] = mapped_column(Text, unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    duration: Mapped[float] = mapped_column(Float(53))
    sample_rate: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    show: Mapped[str | None] = mapped_column(Text)
    source_url: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    licence: Mapped[str | None] = mapped_column(Text)
    consent: Mapped[str | None] = mapped_column(Text)
    channel: Mapped[int | None] = mapped_column(Integer)


class TurnRow(Base):
    """A turn as its `origin` gave it: the manifest, or a diarizer, which knows no texts, and where voices `overlap`."""

    __tablename__ = "turns"
    __table_args__ = (Index("ix_turns_start", "recording", "start"),)

    recording: Mapped[str] = _recording()
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    start: Mapped[float] = mapped_column(Float(53))
    end: Mapped[float] = mapped_column(Float(53))
    speaker: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    text_clean: Mapped[str | None] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(16), default=MANIFEST, server_default=MANIFEST)
    overlap: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class Embedding(TypeDecorator[np.ndarray]):
    """float32 `[D]`: a pgvector `vector` on PostgreSQL, little-endian bytes elsewhere."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(LargeBinary())
        from pgvector.sqlalchemy import VECTOR

        return dialect.type_descriptor(VECTOR())

    def process_bind_param(self, value: np.ndarray | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astype("<f4").tobytes()

    def process_result_value(self, value: Any, dialect: Dialect) -> np.ndarray | None:
        if value is None:
            return None
        return np.frombuffer(value, "<f4") if isinstance(value, bytes) else np.asarray(value, np.float32)


class SpeakerRow(Base):
    """Somebody a diarizer heard in a recording, and the `voice` that is theirs in all recordings once linked.

    Embeddings are comparable within one `version`.
    """

    __tablename__ = "speakers"

    recording: Mapped[str] = _recording()
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text, index=True)
    embedding: Mapped[np.ndarray] = mapped_column(Embedding)
    voice: Mapped[str | None] = mapped_column(String(32), index=True)


class StateRow(Base):
    """How far a recording is in a stage: pending, done or failed with a reason, by which version of it."""

    __tablename__ = "states"
    __table_args__ = (Index("ix_states_stage", "stage", "state"),)

    recording: Mapped[str] = _recording()
    stage: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))
    version: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)


class UtteranceRow(Base):
    """An utterance and where its transcript comes from: manifest, model, human or edited; `clip` is whose it became.

    Of a model's: log-probability of a byte of the text (`confidence`), probability that nothing is said
    (`no_speech`), text over compressed text (`compression`). An utterance not yet transcribed has an empty text.
    """

    __tablename__ = "utterances"
    __table_args__ = (
        Index("ix_utterances_span", "recording", "start", "end"),
        Index("ix_utterances_confidence", "confidence", "start", "end"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    recording: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    start: Mapped[float] = mapped_column(Float(53))
    end: Mapped[float] = mapped_column(Float(53))
    text: Mapped[str] = mapped_column(Text)
    text_clean: Mapped[str | None] = mapped_column(Text)
    speakers: Mapped[list[Any]] = mapped_column(JSON)
    main_speaker: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    confidence: Mapped[float | None] = mapped_column(Float(53))
    no_speech: Mapped[float | None] = mapped_column(Float(53))
    compression: Mapped[float | None] = mapped_column(Float(53))
    transcript_source: Mapped[str] = mapped_column(String(16))
    clip: Mapped[str | None] = mapped_column(String(64), index=True)


class CorrectionRow(Base):
    """What a person did to a clip, or, without a clip, to the names of a recording's speakers. Rows are only added.

    `before` and `after` are `ClipState`s, or names of a speaker. `utterance` is what the machine had said, where until
    then nobody had changed it. `undoes` is the number of a row. A request, by its author's `key`, may have several `part`s.
    """

    __tablename__ = "corrections"
    __table_args__ = (
        UniqueConstraint("clip", "version"),
        UniqueConstraint("author", "key", "part"),
        Index("ix_corrections_recording", "recording", "clip", "version"),
        {"sqlite_autoincrement": True},  # a number that was seen is never another row's
    )

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    recording: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    clip: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[int | None] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(16))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    utterance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    undoes: Mapped[int | None] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Float(53))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    key: Mapped[str] = mapped_column(String(64))
    part: Mapped[int] = mapped_column(Integer)
    batch: Mapped[str | None] = mapped_column(String(36), index=True)


def _kind(context: Any) -> str:
    return kind_of(context.get_current_parameters()["reason"])


class RejectRow(Base):
    """A span a stage did not use, and why. Its `kind` is the reason without its numbers, for counting."""

    __tablename__ = "rejects"
    __table_args__ = (Index("ix_rejects_kind", "kind"),)

    recording: Mapped[str] = _recording()
    stage: Mapped[str] = mapped_column(String(32), primary_key=True)
    start: Mapped[float] = mapped_column(Float(53), primary_key=True)
    end: Mapped[float] = mapped_column(Float(53), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, default=_kind, server_default="")


class RemovedRow(Base):
    """What is left of a recording that was removed: the hash of its content, so that it cannot come back by accident."""

    __tablename__ = "removed"

    recording: Mapped[str] = mapped_column(String(32), primary_key=True)
    date: Mapped[str] = mapped_column(String(10))


class JobRow(Base):
    """A stage of a recording that a worker has taken, until it is finished or its lease runs out.

    `expires` is in seconds of the database's clock; `attempts` counts workers that took it.
    """

    __tablename__ = "jobs"

    recording: Mapped[str] = _recording()
    stage: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    expires: Mapped[float] = mapped_column(Float(53))
    attempts: Mapped[int] = mapped_column(Integer)


class SettingRow(Base):
    """A fact about the whole corpus, such as what its workers run, as JSON."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
