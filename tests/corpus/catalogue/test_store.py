from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from corpus.fakes import taken
from rosella import stopping
from rosella.corpus.catalogue import connection, settings
from rosella.corpus.catalogue.leases import LeaseLost
from rosella.corpus.catalogue.removal import purge
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.catalogue.tables import Base
from rosella.corpus.stage import StageResult
from rosella.errors import UserError
from rosella.records import Recording, Reject, Turn, Utterance
from support import environment

RECORDING = Recording("a" * 32, "/a.wav", 10.0, 16000, 1, language="nl")
SOURCE = Source("/a.wav", 100, 1)
TURNS = [Turn(0.0, 1.0, "anna", "hoi"), Turn(1.0, 2.0, "ben", "dag", "Dag")]
UTTERANCE = Utterance("u1", "a" * 32, 0.0, 2.0, "[S1] hoi", speakers=("anna",), main_speaker="anna")


@pytest.fixture
def catalogue(database_url):
    opened = Catalogue.open(database_url)
    yield opened
    opened.close()


def test_migrations_make_exactly_the_models(catalogue):
    with catalogue.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_sqlite_writes_ahead_and_checks_references(tmp_path):
    with Catalogue.open(f"sqlite:///{tmp_path}/c.sqlite").engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_records_come_back_as_they_went_in(catalogue):
    assert catalogue.add(RECORDING, SOURCE, TURNS) == "added"
    assert catalogue.turns(RECORDING.id) == TURNS
    assert catalogue.find(SOURCE) == catalogue.get(RECORDING.id) == RECORDING
    assert catalogue.find(Source("/a.wav", 100, 2)) is None
    catalogue.finish(
        taken(catalogue, RECORDING.id, "segment"),
        StageResult([UTTERANCE], [Reject(3.0, 4.0, "turn of 9 s is odd")]),
    )
    assert catalogue.utterances(RECORDING.id) == [UTTERANCE]
    assert catalogue.status().rejects == {"turn of … s is odd": 1}


def test_a_stage_waits_for_the_one_before_and_for_its_version(catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    assert catalogue.due("segment", "1") == []
    assert catalogue.due("diarize", "1") == [RECORDING]
    catalogue.finish(taken(catalogue, RECORDING.id, "diarize"), StageResult())
    assert catalogue.due("segment", "1") == [RECORDING]
    catalogue.finish(taken(catalogue, RECORDING.id, "segment"), StageResult([UTTERANCE]))
    assert catalogue.due("segment", "1") == []
    assert catalogue.due("segment", "2") == [RECORDING]
    assert catalogue.due("tokenize", "1") == []
    catalogue.finish(taken(catalogue, RECORDING.id, "transcribe"), StageResult())
    assert catalogue.due("tokenize", "1") == [RECORDING]
    catalogue.finish(taken(catalogue, RECORDING.id, "tokenize"), StageResult())
    assert catalogue.done("tokenize", "1") == [RECORDING]
    assert catalogue.done("tokenize", "2") == []


def test_a_failed_stage_is_not_due_again_for_the_same_version(catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    catalogue.finish(taken(catalogue, RECORDING.id, "diarize"), StageResult())
    catalogue.fail(taken(catalogue, RECORDING.id, "segment"), "because")
    assert catalogue.due("segment", "1") == []
    assert catalogue.due("segment", "2") == [RECORDING]
    assert catalogue.failed() == [
        {"recording": RECORDING.id, "path": "/a.wav", "stage": "segment", "reason": "because"}
    ]
    catalogue.reset(RECORDING.id, "segment")
    assert catalogue.due("segment", "1") == [RECORDING]


def test_new_utterances_make_later_stages_stale(catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    catalogue.finish(taken(catalogue, RECORDING.id, "segment"), StageResult([UTTERANCE]))
    for stage in ("transcribe", "tokenize"):
        catalogue.finish(taken(catalogue, RECORDING.id, stage), StageResult())
    catalogue.finish(taken(catalogue, RECORDING.id, "segment", "2"), StageResult([UTTERANCE]))
    assert catalogue.due("transcribe", "1") == [RECORDING]
    assert catalogue.done("tokenize", "1") == []


def test_turns_of_a_diarizer_stand_beside_none_of_the_source(catalogue):
    catalogue.add(RECORDING, SOURCE, [])
    assert catalogue.untranscribed()
    catalogue.finish(taken(catalogue, RECORDING.id, "diarize"), StageResult(turns=[Turn(1.0, 2.0, "A", "")]))
    assert catalogue.turns(RECORDING.id) == []
    assert catalogue.turns(RECORDING.id, origin=None) == [Turn(1.0, 2.0, "A", "")]
    assert catalogue.add(RECORDING, SOURCE, []) == "unchanged"
    assert len(catalogue.turns(RECORDING.id, origin=None)) == 1
    catalogue.add(RECORDING, SOURCE, TURNS)
    assert catalogue.turns(RECORDING.id, origin=None) == TURNS
    assert not catalogue.untranscribed()


def test_changed_turns_make_everything_stale_and_changed_facts_nothing(catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    catalogue.finish(taken(catalogue, RECORDING.id, "diarize"), StageResult())
    catalogue.finish(taken(catalogue, RECORDING.id, "segment"), StageResult([UTTERANCE]))
    assert catalogue.add(Recording(**{**RECORDING.to_dict(), "show": "s"}), SOURCE, TURNS) == "updated"
    assert catalogue.due("segment", "1") == []
    assert catalogue.add(Recording(**{**RECORDING.to_dict(), "show": "s"}), SOURCE, TURNS[:1]) == "updated"
    assert len(catalogue.due("diarize", "1")) == 1


def test_results_of_a_removed_recording_are_dropped(catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    lease = taken(catalogue, RECORDING.id, "segment")
    purge(catalogue.engine, [RECORDING.id])
    with pytest.raises(LeaseLost):
        catalogue.finish(lease, StageResult([UTTERANCE]))
    with pytest.raises(LeaseLost):
        catalogue.fail(lease, "because")
    assert catalogue.status().recordings == 0


def test_opening_again_keeps_what_is_there(database_url, catalogue):
    catalogue.add(RECORDING, SOURCE, TURNS)
    catalogue.close()
    assert Catalogue.open(database_url).find(SOURCE) == RECORDING


OPENS = """
import sys
from types import SimpleNamespace
from pathlib import Path
from rosella.corpus.catalogue.store import Catalogue
import alembic.command
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    Catalogue.open(f"sqlite:///{Path(sys.argv[1]) / str(number)}.sqlite").close()
"""


def test_processes_that_open_a_new_catalogue_together_make_it_once(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", OPENS, str(tmp_path)]
    opening = [subprocess.Popen(command, **pipes, env=environment(), text=True) for _ in range(3)]
    for process in opening:
        assert process.stdout.readline() == "ready\n"
    for process in opening:
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in opening]
    assert errors == [""] * 3, "\n".join(errors)


def test_a_file_that_another_process_turns_to_a_log_is_waited_for():
    """SQLite says at once that it is locked, whatever its timeout."""
    asked = []

    def execute(statement):
        asked.append(statement)
        if asked.count("PRAGMA journal_mode=WAL") in (1, 2):
            raise sqlite3.OperationalError("database is locked")
        if statement == "PRAGMA foreign_keys=ON":
            raise sqlite3.OperationalError("no such pragma")

    with pytest.raises(sqlite3.OperationalError, match="no such"):
        connection._configure_sqlite(SimpleNamespace(execute=execute), None)
    assert asked.count("PRAGMA journal_mode=WAL") == 3


def test_a_newer_catalogue_is_refused(database_url, catalogue):
    with catalogue.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match="made by a newer Rosella"):
        Catalogue.open(database_url)


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "c.sqlite").write_text("hello " * 1000)
    with pytest.raises(UserError, match="is not a catalogue or is damaged"):
        Catalogue.open(f"sqlite:///{tmp_path}/c.sqlite")
    for url in ("nonsense", "nosuchdatabase://x/y"):
        with pytest.raises(UserError, match="catalogue URL cannot be used"):
            Catalogue.open(url)


def test_an_interruption_waits_for_the_end_of_a_transaction(catalogue):
    def interrupted():
        with catalogue.session() as session:
            session.execute(sa.insert(Base.metadata.tables["settings"]).values(name="told", value=1))
            signal.raise_signal(signal.SIGTERM)
            session.execute(sa.insert(Base.metadata.tables["settings"]).values(name="then", value=2))

    with stopping.interrupting(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (settings.read(catalogue, "told"), settings.read(catalogue, "then")) == (1, 2)
