from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, turn
from rosella import cli
from rosella.corpus.catalogue.voices import replace_speakers
from rosella.corpus.project import Corpus


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


@pytest.fixture
def one_voice(rosella, tmp_path):
    """A corpus where one voice is named anna, named ben, and named by nobody; and another recording of ben's."""
    names = ("anna1", "ben1", "ben2", "nobody1")
    for seed, name in enumerate(names):
        save_tone(tmp_path / "in" / f"{name}.wav", 4.0, seed=seed)
    told = [{"audio": f"{name}.wav", "turns": [turn(0, 3, name[:-1])]} for name in names[:3]]
    source, where = [*told, {"audio": "nobody1.wav"}], ("--corpus", tmp_path / "c")
    rosella("corpus", "add", save_manifest(tmp_path / "in" / "m.jsonl", source), *where)
    with Corpus.open(tmp_path / "c") as corpus, corpus.catalogue.session() as session:
        for recording in corpus.catalogue.done("scan", ""):
            name = Path(recording.path).stem
            who = np.eye(4, dtype=np.float32)[0 if name == "ben2" else 1]
            replace_speakers(session, recording.id, "1", {"A" if name == "nobody1" else name[:-1]: who})
    return where


def left(folder):
    with Corpus.open(folder) as corpus:
        return sorted(Path(recording.path).stem for recording in corpus.catalogue.done("scan", ""))


def test_a_speaker_is_removed_where_they_are_named(rosella, tmp_path, one_voice):
    code, out, _ = rosella("corpus", "remove", "anna", *one_voice, "--yes", "--runs", tmp_path / "runs")
    assert code == 0
    shown = {line.split("/")[-1] for line in out.splitlines()[:3]}
    assert "anna1.wav" in shown
    assert any(line.startswith("ben1.wav (by voice: voice-") and "named ben there" in line for line in shown)
    assert any(
        line.startswith("nobody1.wav (by voice: voice-") and "not named there" in line for line in shown
    )
    assert "2 found by voice alone stay. --voice removes them too" in out
    assert "1 recordings removed" in out
    assert left(tmp_path / "c") == ["ben1", "ben2", "nobody1"]
    voice = next(line for line in shown if "ben1" in line).split()[3].rstrip(",")
    rosella("corpus", "remove", voice, *one_voice, "--yes", "--runs", tmp_path / "runs")
    assert left(tmp_path / "c") == ["ben2"]


def test_a_speaker_is_removed_wherever_their_voice_is_heard_if_so_asked(rosella, tmp_path, one_voice):
    _, out, _ = rosella(
        "corpus", "remove", "anna", "--voice", *one_voice, "--yes", "--runs", tmp_path / "runs"
    )
    assert "3 recordings removed" in out
    assert "stay." not in out
    assert left(tmp_path / "c") == ["ben2"]
