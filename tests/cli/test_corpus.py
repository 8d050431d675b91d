from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, turn
from corpus.pipeline import FakeDiarizer, FakeTranscriber
from rosella import cli
from rosella.corpus.recogniser import Transcribed
from support import python


@pytest.fixture(autouse=True)
def fake_codec(monkeypatch):
    monkeypatch.setattr("rosella.codec.load_codec", lambda name, device="cpu": FakeCodec())


@pytest.fixture
def rosella(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stop.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def source(tmp_path):
    return small_source(tmp_path / "source")


def test_add_run_status_export(rosella, tmp_path, source):
    where = ("--corpus", tmp_path / "c")
    code, out, err = rosella("corpus", "add", source, *where, "--licence", "CC0")
    assert (code, out) == (0, "3 added, 0 updated, 0 unchanged, 0 duplicates, 0 failed\n")
    assert "scan: 3 of 3" in err
    code, out, err = rosella("corpus", "run", *where, "--codec", "mini")
    assert (code, out) == (
        0,
        "diarize: 3 done, segment: 3 done, transcribe: 3 done, tokenize: 3 done, 0 failed\n",
    )
    assert "tokenize: 3 of 3" in err
    code, out, _ = rosella("corpus", "export", *where)
    assert code == 0
    assert out.startswith("6 utterances (2 for validation), 0.4 minutes, 1 shards (1 new)")
    code, out, _ = rosella("corpus", "export", *where, "--json")
    assert json.loads(out)["written"] == 0
    code, out, _ = rosella("corpus", "status", *where)
    assert code == 0
    assert out.startswith(
        "for training: 6 utterances, 0.4 minutes\nrecorded: 3 recordings, 0.6 minutes\ncut from them: 6 utterances"
    )
    assert "tokenize: 3 done" in out
    _, out, _ = rosella("corpus", "status", *where, "--json")
    assert json.loads(out)["stages"]["tokenize"] == {"done": 3}


def test_a_bad_recording_among_good_ones_is_reported_and_exit_is_zero(rosella, tmp_path, source):
    (source.parent / "r1.wav").write_bytes(b"")
    where = ("--corpus", tmp_path / "c")
    code, out, _ = rosella("corpus", "add", source, *where)
    assert code == 0
    assert "2 added" in out
    assert "failed: " in out
    assert "r1.wav is empty (0 bytes)" in out
    assert rosella("corpus", "run", *where)[0] == 0
    _, out, _ = rosella("corpus", "status", *where)
    assert "failed at scan: " in out
    code, out, _ = rosella("corpus", "retry", "r1.wav", *where)
    assert (code, out.splitlines()[0]) == (0, "0 of 1 pending again")


def bad_audio(tmp_path, content):
    (tmp_path / "x.wav").write_bytes(content)
    return save_manifest(tmp_path / "m.jsonl", [{"audio": "x.wav", "turns": [turn(0, 1)]}])


BAD_SOURCES = {
    "missing": (lambda p: p / "absent", "does not exist"),
    "empty folder": (lambda p: p, "holds neither"),
    "empty audio": (lambda p: bad_audio(p, b""), "is empty (0 bytes)"),
    "no audio": (lambda p: bad_audio(p, b"hello"), "not audio that can be decoded"),
    "bad line": (lambda p: save_manifest(p / "m.jsonl", ["{"]), "line 1"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_ends_in_one_sentence_and_exit_code_2(rosella, tmp_path, kind):
    make, reason = BAD_SOURCES[kind]
    code, out, err = rosella("corpus", "add", make(tmp_path), "--corpus", tmp_path / "c")
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("rosella: ")
    assert reason in last
    assert "Traceback" not in err


def test_when_nothing_can_be_tokenized_run_ends_with_2(rosella, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.full(32000, np.nan, np.float32), 16000, subtype="FLOAT")
    source = save_manifest(tmp_path / "m.jsonl", [{"audio": "x.wav", "turns": [turn(0, 1)]}])
    rosella("corpus", "add", source, "--corpus", tmp_path / "c")
    code, _, err = rosella("corpus", "run", "--corpus", tmp_path / "c")
    assert code == 2
    assert "NaN" in err


@pytest.mark.parametrize("verb", ["run", "status", "retry", "export"])
def test_verbs_without_a_corpus_say_what_to_do(rosella, tmp_path, verb):
    code, _, err = rosella("corpus", verb, "--corpus", tmp_path / "c")
    assert code == 2
    assert "add recordings with `rosella corpus add` first" in err
    assert not (tmp_path / "c").exists()


def test_a_corpus_that_cannot_be_made(rosella, tmp_path, source):
    (tmp_path / "c").write_text("a file")
    code, _, err = rosella("corpus", "add", source, "--corpus", tmp_path / "c")
    assert code == 2
    assert "cannot be made" in err


NOTHING = "Nothing to do: what can be done is done.\n"


@pytest.fixture
def loaded(monkeypatch):
    """How often models were loaded."""
    from rosella.cli import corpus_work

    calls, load = [], corpus_work.load_models
    monkeypatch.setattr(corpus_work, "load_models", lambda *given: calls.append(given) or load(*given))
    return calls


def test_a_run_with_nothing_to_do_loads_no_models(rosella, tmp_path, source, loaded):
    where = ("--corpus", tmp_path / "c")
    rosella("corpus", "add", source, *where)
    assert "tokenize: 3 done" in rosella("corpus", "run", *where)[1]
    assert rosella("corpus", "run", *where) == (0, NOTHING, "")
    assert rosella("corpus", "run", *where, "--dry-run")[1].endswith(
        "tokenize: 0 recordings, 0.00 hours of audio\n"
    )
    assert len(loaded) == 1
    program = "import sys, rosella.cli as cli\ntry: cli.main()\nfinally: print('torch' in sys.modules)"
    assert python("-c", program, "corpus", "run", *map(str, where)).stdout == f"{NOTHING}False\n"


def test_what_may_have_changed_is_looked_at(rosella, tmp_path, source, loaded, monkeypatch):
    import shutil

    from rosella import mini

    where = ("--corpus", tmp_path / "c")
    codec = tmp_path / "codec"
    shutil.copytree(mini.path("codec"), codec)
    rosella("corpus", "add", source, *where)
    command = ("corpus", "run", *where, "--codec", codec)
    rosella(*command)
    assert rosella(*command)[1] == NOTHING
    (codec / "model.safetensors").touch()
    assert "tokenize: 0 done, 0 failed" in rosella(*command)[1]
    assert rosella(*command)[1] == NOTHING
    assert "segment: 3 done" in rosella(*command, "--max-seconds", 3)[1]
    next((tmp_path / "c" / "cache" / "codes").rglob("*.npz")).unlink()
    assert "tokenize: 1 done" in rosella(*command, "--max-seconds", 3)[1]
    monkeypatch.setattr("rosella.corpus.workers.known.PROGRAM", codec)
    assert "tokenize: 0 done, 0 failed" in rosella(*command, "--max-seconds", 3)[1]
    assert len(loaded) == 5


def test_a_run_says_what_failed_before_and_stays_so(rosella, tmp_path, source):
    soundfile.write(source.parent / "r1.wav", np.full(192000, np.nan, np.float32), 16000, subtype="FLOAT")
    where = ("--corpus", tmp_path / "c")
    rosella("corpus", "add", source, *where)
    _, out, _ = rosella("corpus", "run", *where)
    assert "tokenize: 2 done, 1 failed\nfailed: " in out
    assert "failed before" not in out
    still = (
        "1 failed before and stays so: `rosella corpus status` says why, "
        "after `rosella corpus retry` a run tries again.\n"
    )
    assert rosella("corpus", "run", *where)[1] == NOTHING + still
    rosella("corpus", "run", *where, "--max-seconds", 3)
    save_tone(source.parent / "new.wav", 3.0, seed=9)
    save_manifest(source.parent / "m.jsonl", [{"audio": "new.wav", "text": "hallo"}])
    rosella("corpus", "add", source.parent / "m.jsonl", *where)
    _, out, _ = rosella("corpus", "run", *where, "--max-seconds", 3)
    assert out.endswith(f"tokenize: 1 done, 0 failed\n{still}")


def test_names_of_files_are_no_commands_to_a_terminal(rosella, tmp_path):
    save_tone(tmp_path / "in" / "red\x1b[31m\a.wav", 3.0)
    save_tone(tmp_path / "in" / "zé.wav", 3.0, seed=1)
    where = ("--corpus", tmp_path / "c")
    _, out, err = rosella("corpus", "add", tmp_path / "in", *where)
    assert "red\\x1b[31m\\x07.wav" in err and "zé.wav" in err
    said = out + err
    for verb in ("retry", "status"):
        said += "".join(rosella("corpus", verb, *where)[1:])
    said += rosella("corpus", "add", tmp_path / "in" / "red\x1b[31m\a.wav", "--corpus", tmp_path / "d")[2]
    assert said.count("red\\x1b[31m") > 3
    assert all(line.isprintable() for line in said.split("\n"))


@pytest.fixture
def guesses(monkeypatch):
    """Sets how sure the recogniser is of all that it writes."""

    def at(confidence):
        class Guesses(FakeTranscriber):
            version = f"guesses-{confidence}"

            def write_down(self, batches):
                made = super().write_down(batches).transcriptions
                for one in made.values():
                    one.transcripts["verbatim"] = replace(
                        one.transcripts["verbatim"], log_probability=confidence
                    )
                return Transcribed(made)

        monkeypatch.setattr("rosella.asr.recogniser.load_transcriber", lambda *_: Guesses())
        monkeypatch.setattr("rosella.corpus.diarization.load.load_diarizer", lambda *_: FakeDiarizer())

    return at


def test_who_runs_a_recogniser_that_guesses_is_told_once_and_can_have_it_all_the_same(
    rosella, tmp_path, guesses
):
    where, warning = ("--corpus", tmp_path / "c"), "does not seem to know this speech"
    rosella("corpus", "add", save_tone(tmp_path / "talk.wav", 12.0, seed=9), *where)
    guesses(-0.3)
    code, _, err = rosella("corpus", "run", *where, "--recogniser", "mini")
    assert (code, err.count(warning)) == (0, 1) and "guessed at 2 of 2 utterances" in err
    assert (
        "left out at transcribe: 2, 0.1 minutes: the recogniser guessed"
        in rosella("corpus", "status", *where)[1]
    )
    code, _, err = rosella("corpus", "export", *where)
    assert code == 2 and "guessed at all 2 utterances" in err
    code, out, err = rosella("corpus", "export", *where, "--where", "confidence>=-9")
    assert (code, out.split(" utt")[0], warning in err) == (0, "2", False)
    rosella("corpus", "add", small_source(tmp_path / "source", 1), *where)
    rosella("corpus", "run", *where)
    code, out, err = rosella("corpus", "export", *where)
    assert (code, err.count(warning)) == (0, 1) and "left out: 2 utterances" in out
    guesses(-0.02)
    assert warning not in rosella("corpus", "run", *where, "--recogniser", "other")[2]
    assert "left out" not in rosella("corpus", "export", *where)[1]


def test_all_that_is_wrong_with_a_source_can_be_seen(rosella, tmp_path):
    source = save_manifest(tmp_path / "m.jsonl", ["{"] * 20)
    code, _, err = rosella("corpus", "add", source, "--corpus", tmp_path / "c")
    assert code == 2 and "line 5" in err and "line 6" not in err and "and 15 more, which --debug lists" in err
    assert (
        "line 20: it is not valid JSON"
        in rosella("corpus", "add", source, "--corpus", tmp_path / "c", "--debug")[2]
    )


def test_files_that_are_passed_over_are_counted(rosella, tmp_path):
    save_tone(tmp_path / "in" / "a.wav", 1.0)
    (tmp_path / "in" / "notes").write_text("x")
    _, out, _ = rosella("corpus", "add", tmp_path / "in", "--corpus", tmp_path / "c")
    assert f"1 file that is not named like audio was passed over: {tmp_path}/in/notes" in out
