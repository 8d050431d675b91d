from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from corpus.fakes import FakeCodec, small_source, taken
from rosella.corpus.catalogue.connection import bring_to, reach
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import Base
from rosella.corpus.models import Models
from rosella.corpus.operate.backup import backup, migrate, restore
from rosella.corpus.project import Corpus, catalogue_url
from rosella.errors import UserError


@pytest.fixture
def corpus(anywhere, tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


def rows(engine):
    with engine.connect() as connection:
        return {
            table.name: sorted(map(str, connection.execute(sa.select(table))))
            for table in Base.metadata.sorted_tables
        }


def test_a_backup_brings_everything_back(corpus, tmp_path):
    source = small_source(tmp_path / "source")
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    before, url = rows(corpus.catalogue.engine), catalogue_url(corpus.directory)
    saved = backup(corpus.directory, url)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    (source.parent / "r0.wav").write_bytes(b"")
    corpus.add(source)
    assert rows(corpus.catalogue.engine) != before
    assert restore(url, saved) == 3
    assert rows(corpus.catalogue.engine) == before
    assert corpus.run(Models(FakeCodec())).done["tokenize"] == 0


@pytest.mark.services
def test_a_catalogue_moves_between_databases(tmp_path, postgres_url):
    with Corpus.open(tmp_path / "one", create=True) as corpus:
        corpus.add(small_source(tmp_path / "source"))
        corpus.run(Models(FakeCodec()))
        before = rows(corpus.catalogue.engine)
    restore(postgres_url, backup(tmp_path / "one", catalogue_url(tmp_path / "one")))
    with Corpus.open(tmp_path / "one", postgres_url) as corpus:
        assert rows(corpus.catalogue.engine) == before
    saved = backup(tmp_path / "one", postgres_url)
    restore(f"sqlite:///{tmp_path}/back.sqlite", saved)
    with Corpus.open(tmp_path / "one", f"sqlite:///{tmp_path}/back.sqlite") as corpus:
        assert rows(corpus.catalogue.engine) == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"hello" * 1000), "is not a whole backup"),
        (lambda path: path.write_bytes(path.read_bytes()[:8192]), "is not a whole backup|is damaged"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_what_is_no_backup_replaces_nothing(tmp_path, spoil, reason):
    with Corpus.open(tmp_path / "c", create=True) as corpus:
        corpus.add(small_source(tmp_path / "source"))
    url = catalogue_url(tmp_path / "c")
    saved = backup(tmp_path / "c", url)
    spoil(saved)
    with pytest.raises(UserError, match=reason):
        restore(url, saved)
    with Corpus.open(tmp_path / "c") as corpus:
        assert corpus.status().recordings == 3


def old_catalogue(url):
    """As the first version left it, with a recording, a turn and two rejects."""
    engine = reach(url)
    bring_to(engine, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO recordings (id, path, size, mtime_ns, duration, sample_rate, channels) "
            "VALUES ('r', '/a.wav', 1, 1, 10.0, 16000, 1)"
        )
        connection.exec_driver_sql(
            'INSERT INTO turns (recording, number, start, "end", speaker, text) '
            "VALUES ('r', 0, 0.0, 1.0, 'anna', 'hoi')"
        )
        for start, reason in ((0, "turn of 31.0 s is too long"), (1, "turn of 45.5 s is too long")):
            connection.exec_driver_sql(
                'INSERT INTO rejects (recording, stage, start, "end", reason) '
                f"VALUES ('r', 'segment', {start}, 2.0, '{reason}')"
            )
        connection.exec_driver_sql(
            'INSERT INTO utterances (id, recording, start, "end", text, speakers, transcript_source, confidence) '
            "VALUES ('u', 'r', 0.0, 1.0, '[S1] hoi', '[]', 'model', -0.4)"
        )
    engine.dispose()


def test_an_older_catalogue_is_migrated_after_a_backup(database_url, tmp_path):
    old_catalogue(database_url)
    with pytest.raises(UserError, match="run `rosella corpus migrate`"):
        Catalogue.open(database_url)
    done = migrate(tmp_path, database_url)
    assert done.before == "0001"
    with sqlite3.connect(done.backup) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT text FROM turns").fetchall() == [("hoi",)]
    catalogue = Catalogue.open(database_url)
    assert catalogue.status().rejects == {"turn of … s is too long": 2}
    assert [turn.text for turn in catalogue.turns("r")] == ["hoi"]
    (utterance,) = catalogue.utterances("r")
    assert (utterance.text, utterance.confidence) == ("[S1] hoi", None), "it was of a token, not of a byte"
    assert (catalogue.status().transcribed, catalogue.status().doubtful) == (0, 0)
    catalogue.close()
    assert migrate(tmp_path, database_url).backup is None
    assert restore(database_url, done.backup) == 1


def test_people_whom_an_older_catalogue_took_for_overlap_get_their_folders_name(database_url, tmp_path):
    engine = reach(database_url)
    bring_to(engine, "0005")
    with engine.begin() as connection:
        for id, folder in (("r", "/talks/"), ("d", "/talks/"), ("root", "/"), ("mute", "/talks/")):
            connection.exec_driver_sql(
                "INSERT INTO recordings (id, path, size, mtime_ns, duration, sample_rate, channels) "
                f"VALUES ('{id}', '{folder}{id}.wav', 1, 1, 10.0, 16000, 1)"
            )
            for stage in ("scan", "diarize", "segment"):
                connection.exec_driver_sql(
                    "INSERT INTO states (recording, stage, state, version) "
                    f"VALUES ('{id}', '{stage}', 'done', '1')"
                )
        turns = [("r", 0, "", "manifest"), ("r", 1, "ben", "manifest"), ("root", 0, "", "manifest")]
        for recording, number, speaker, origin in [
            *turns,
            ("d", 0, "A", "diarizer"),
            ("d", 1, "", "diarizer"),
        ]:
            connection.exec_driver_sql(
                'INSERT INTO turns (recording, number, start, "end", speaker, text, origin) '
                f"VALUES ('{recording}', {number}, {number}, {number + 1}, '{speaker}', 'hoi', '{origin}')"
            )
    engine.dispose()
    migrate(tmp_path, database_url)
    catalogue = Catalogue.open(database_url)
    found = {id: [(t.speaker, t.overlap) for t in catalogue.turns(id, None)] for id in ("r", "d", "root")}
    assert found == {
        "r": [("talks", False), ("ben", False)],
        "d": [("A", False), ("", True)],
        "root": [("unknown", False)],
    }
    assert {r.id for r in catalogue.due("diarize", "1")} == {"r", "root", "mute"}
    assert catalogue.status().stages["segment"] == {"done": 1}
    catalogue.close()


def test_a_newer_catalogue_is_neither_opened_nor_migrated(tmp_path):
    url = f"sqlite:///{tmp_path}/c.sqlite"
    Catalogue.open(url).close()
    with sqlite3.connect(tmp_path / "c.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for attempt in (
        lambda: Catalogue.open(url),
        lambda: migrate(tmp_path, url),
        lambda: backup(tmp_path, url),
    ):
        with pytest.raises(UserError, match="made by a newer Rosella"):
            attempt()


def test_the_work_ahead_is_counted(corpus, tmp_path):
    source = small_source(tmp_path / "source")
    (source.parent / "r2.wav").write_bytes(b"")
    corpus.add(source)

    def counted(codec="fake-codec"):
        return {work.stage: (work.recordings, work.seconds) for work in corpus.plan(Models(FakeCodec(codec)))}

    assert set(counted().values()) == {(2, 24.0)}
    corpus.run(Models(FakeCodec()))
    assert set(counted().values()) == {(0, 0.0)}
    assert counted("another")["tokenize"] == (2, 24.0)
    assert counted("another")["segment"] == (0, 0.0)
    corpus.catalogue.fail(
        taken(corpus.catalogue, corpus.catalogue.done("scan", "")[0].id, "segment", "x"), "because"
    )
    ahead = counted()
    ran = corpus.run(Models(FakeCodec()))
    assert {stage: number for stage, (number, _) in ahead.items()} == ran.done
