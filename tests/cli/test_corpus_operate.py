from __future__ import annotations

import os

import pytest

from corpus.fakes import FakeCodec, small_source
from rosella import cli


@pytest.fixture
def rosella(capsys, monkeypatch):
    monkeypatch.setattr("rosella.codec.load_codec", lambda name, device="cpu": FakeCodec())

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stop.value.code or 0, output.out, output.err

    return call


def test_from_dry_run_to_removal(rosella, tmp_path):
    source, where = small_source(tmp_path / "source"), ("--corpus", tmp_path / "c")
    rosella("corpus", "add", source, *where)
    code, out, _ = rosella("corpus", "run", *where, "--dry-run")
    assert (code, out.splitlines()[-1]) == (0, "tokenize: 3 recordings, 0.01 hours of audio")
    rosella("corpus", "run", *where)
    rosella("corpus", "export", *where)
    code, out, _ = rosella("corpus", "run", *where, "--dry-run")
    assert out.splitlines()[-1] == "tokenize: 0 recordings, 0.00 hours of audio"
    code, out, _ = rosella("corpus", "backup", *where, tmp_path / "b.sqlite")
    assert (code, out.strip()) == (0, str(tmp_path / "b.sqlite"))
    code, out, _ = rosella("corpus", "backup", *where, tmp_path / "b.sqlite")
    assert code == 2
    code, out, _ = rosella("corpus", "remove", "r1.wav", *where, "--yes", "--runs", tmp_path / "runs")
    assert code == 0
    assert "1 recordings removed" in out
    assert "stay where they are" in out
    code, out, _ = rosella("corpus", "restore", tmp_path / "b.sqlite", *where)
    assert (code, out.strip()) == (0, "2 recordings restored")
    code, out, _ = rosella("corpus", "migrate", *where)
    assert "up to date" in out
    code, out, _ = rosella("corpus", "gc", *where, "--now")
    assert (code, out.split(",")[0]) == (0, "0 shards")


def test_without_a_yes_nothing_is_removed(rosella, tmp_path):
    where = ("--corpus", tmp_path / "c")
    rosella("corpus", "add", small_source(tmp_path / "source"), *where)
    code, _, _ = rosella("corpus", "remove", "anna", *where)
    assert code == 1
    assert "3 recordings" in rosella("corpus", "status", *where)[1]


def test_passwords_among_arguments_are_refused_and_not_repeated(rosella, tmp_path):
    code, out, err = rosella(
        "corpus", "status", "--corpus", tmp_path, "--catalogue", "postgresql://me:secret@host/db"
    )
    assert code == 2
    assert "ROSELLA_CATALOGUE" in err
    assert "secret" not in out + err


def test_the_environment_is_read_from_a_file_and_wins_over_it(rosella, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROSELLA_TEST_SET", "mine")
    monkeypatch.delenv("ROSELLA_TEST_NEW", raising=False)
    (tmp_path / ".env").write_text("# keys\n\nROSELLA_TEST_SET=other\nexport ROSELLA_TEST_NEW='a b'\n")
    rosella("--version")
    assert (os.environ["ROSELLA_TEST_SET"], os.environ.pop("ROSELLA_TEST_NEW")) == ("mine", "a b")
    (tmp_path / ".env").write_text("secret words\n")
    code, _, err = rosella("--version")
    assert code == 2
    assert "Line 1 of .env" in err and "secret" not in err
