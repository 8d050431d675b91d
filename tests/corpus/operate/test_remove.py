from __future__ import annotations

import shutil
from datetime import date

import numpy as np
import pytest

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, turn
from rosella import runs
from rosella.corpus.catalogue.removal import find
from rosella.corpus.models import Models
from rosella.corpus.operate.backup import backup, restore
from rosella.corpus.operate.gc import collect
from rosella.corpus.operate.remove import Removal, remove
from rosella.corpus.project import Corpus, catalogue_url
from rosella.errors import UserError
from rosella.shards.read import Export

SAID = "xyzzy-geheim"
NAME = "quuxanna"
LEAVE = "frobozz agreed"


@pytest.fixture
def corpus(anywhere, tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


@pytest.fixture
def source(tmp_path):
    """Three recordings; in `private.wav` alone NAME says SAID."""
    source = small_source(tmp_path / "source")
    save_tone(source.parent / "private.wav", 8.0, seed=7)
    turns = [turn(0.5, 3.0, NAME, SAID, text_clean=SAID.upper()), turn(3.5, 3.55, NAME, f"te kort {SAID}")]
    lines = [
        *source.read_text().splitlines(),
        {"audio": "private.wav", "show": "show-plugh", "consent": LEAVE, "turns": turns},
    ]
    return save_manifest(source, lines)


@pytest.fixture
def filled(corpus, source):
    """Run, exported, exported again after a change, backed up, and with what a killed process leaves."""
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    source.write_text(source.read_text().replace("eh hallo 1", "eh, hallo!"))
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    backup(corpus.directory, catalogue_url(corpus.directory))
    (private,) = find(corpus.catalogue, "private.wav").named
    cached = next(corpus.directory.glob(f"cache/codes/*/{private.id}.npz"))
    shutil.copy(cached, cached.with_name(f".{cached.name}.99.tmp"))
    (corpus.directory / "report.html").write_text(f"<p>{SAID}</p>")
    return corpus


def removed(corpus, name, tmp_path) -> Removal:
    return remove(corpus, find(corpus.catalogue, name).named, tmp_path / "runs")


def holding(folder, *secrets):
    """Files that hold one of the secrets, looked at as bytes and, where they are compressed, as what they say."""
    import pyarrow.parquet as pq

    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        text = path.read_bytes() + str(path.name).encode()
        if path.suffix == ".parquet":
            text += str(
                pq.read_table(path).drop_columns("codes").to_pylist()
                if path.parent.name == "shards"
                else pq.read_table(path).to_pylist()
            ).encode()
        if path.suffix == ".npz":
            text += str(np.load(path).files).encode()
        if any(secret.encode() in text for secret in secrets):
            found.append(path.name)
    return found


def rows_with(corpus, *secrets):
    import sqlalchemy as sa

    from rosella.corpus.catalogue.tables import Base

    with corpus.catalogue.engine.connect() as connection:
        rows = [
            str(row) for table in Base.metadata.sorted_tables for row in connection.execute(sa.select(table))
        ]
    return [row for row in rows if any(secret in row for secret in secrets)]


@pytest.mark.parametrize("name", ["private.wav", NAME])
def test_nothing_of_what_was_removed_is_in_any_file(filled, tmp_path, name):
    (private,) = find(filled.catalogue, "private.wav").named
    traces = (SAID, SAID.upper(), NAME, LEAVE, "private.wav", "show-plugh")
    expected = {".tmp", "export.json", "report.html", ".npz", ".parquet", ".sqlite"}
    before = holding(filled.directory, *traces, private.id)
    assert all(any(one.endswith(kind) for one in before) for kind in expected)
    result = removed(filled, name, tmp_path)
    assert [recording.path for recording in result.recordings] == [private.path]
    filled.close()
    assert holding(filled.directory, *traces) == []
    assert rows_with(filled, *traces) == []
    assert rows_with(filled, private.id) == [str((private.id, date.today().isoformat()))]
    assert all(one.endswith(".sqlite") for one in holding(filled.directory, private.id))


def test_the_rest_stays_as_it_was_and_can_be_trained_on(filled, tmp_path):
    before = Export.open(filled.directory)
    expected = {row["id"]: row for row in before.index().to_pylist() if SAID not in row["text"]}
    codes = {row["id"]: before.codes(i) for i, row in enumerate(before.index().to_pylist())}
    assert removed(filled, "private.wav", tmp_path).shards >= 1
    after = Export.open(filled.directory)
    assert {row["id"]: row for row in after.index().to_pylist()} == expected
    for i, row in enumerate(after.index().to_pylist()):
        np.testing.assert_array_equal(after.codes(i), codes[row["id"]])
    assert filled.export().written == 0, "the shards that are left are those an export would keep"


def test_it_cannot_come_back_by_accident(filled, source, tmp_path):
    removed(filled, NAME, tmp_path)
    shutil.copy(source.parent / "private.wav", source.parent / "renamed.wav")
    added = filled.add(source.parent / "renamed.wav")
    assert added.added == 0
    ((_, reason),) = added.failed
    assert "was removed from this corpus on" in reason
    assert filled.add(source).unchanged == 3
    assert filled.status().recordings == 3
    assert filled.status().failed == []


def test_an_older_backup_does_not_bring_it_back(filled, tmp_path):
    kept = tmp_path / "kept.sqlite"
    backup(filled.directory, catalogue_url(filled.directory), kept)
    removed(filled, NAME, tmp_path)
    filled.close()
    assert restore(catalogue_url(filled.directory), kept) == 3
    assert rows_with(filled, SAID, NAME) == []


def test_runs_that_were_trained_on_it_are_named(filled, tmp_path):
    (private,) = find(filled.catalogue, "private.wav").named
    folder = tmp_path / "runs"
    for name, recordings in (("saw", [private.id]), ("did-not", ["0" * 32])):
        run = runs.Run(folder / name)
        run.path.mkdir(parents=True)
        run.recipe.write_text(f"data: {{export: {filled.directory}}}\n")
        run.remember(recordings)
    (folder / "old").mkdir()
    (folder / "old" / "recipe.yaml").write_text(f"data: {{export: {filled.directory}}}\n")
    (folder / "other").mkdir()
    (folder / "other" / "recipe.yaml").write_text("data: {export: elsewhere}\n")
    assert removed(filled, NAME, tmp_path).runs == [str(folder / "old"), str(folder / "saw")]


def test_a_removal_that_was_interrupted_is_repeated_under_the_same_name(filled, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rosella.corpus.operate.remove.purge", killed)
    with pytest.raises(KeyboardInterrupt):
        removed(filled, NAME, tmp_path)
    monkeypatch.undo()
    removed(filled, NAME, tmp_path)
    filled.close()
    assert holding(filled.directory, SAID, NAME) == []


def test_names_that_mean_nothing_or_too_much(filled, tmp_path):
    with pytest.raises(UserError, match="No recording and no speaker goes by nobody"):
        find(filled.catalogue, "nobody")
    assert len(find(filled.catalogue, "anna").named) == 3
    save_tone(tmp_path / "more" / "r0.wav", 3.0, seed=20)
    filled.add(tmp_path / "more" / "r0.wav")
    with pytest.raises(UserError, match="2 recordings are named r0.wav"):
        find(filled.catalogue, "r0.wav")


def test_gc_deletes_what_nobody_needs_and_nothing_else(filled):
    filled.run(Models(FakeCodec("other")))
    filled.export()
    stale = len(list(filled.directory.glob("cache/codes/fake-codec/*.npz")))
    before = Export.open(filled.directory).index().to_pylist()
    assert collect(filled).bytes == 0, "all of it is younger than a day"
    cleared = collect(filled, grace=0.0)
    assert (cleared.codes, cleared.temporaries) == (stale, 1)
    assert cleared.shards >= 2
    assert cleared.bytes > 0
    assert Export.open(filled.directory).index().to_pylist() == before
    assert filled.export().written == 0
    assert len(list(filled.directory.glob("backups/*.sqlite"))) == 1
