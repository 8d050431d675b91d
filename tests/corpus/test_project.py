from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, tone, turn
from rosella import audio
from rosella.corpus.catalogue import leases
from rosella.corpus.engines.job import MAX_ATTEMPTS
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.stage import STAGES
from rosella.corpus.steps.segment import Cutting
from rosella.errors import NoSpace, RosellaError, UserError
from rosella.shards.read import Export
from support import ROOT


def counts(number: int, **others: int) -> dict[str, int]:
    """Recordings that each stage did."""
    return {stage: others.get(stage, number) for stage in STAGES[1:]}


@pytest.fixture
def source(tmp_path):
    return small_source(tmp_path / "source")


@pytest.fixture
def corpus(tmp_path, anywhere):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


def snapshot(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shards/*"))} | {
        name: (folder / name).read_bytes() for name in ("export.json", "weights.parquet")
    }


def test_from_manifest_to_training_data(corpus, source):
    assert corpus.add(source).added == 3
    codec = FakeCodec()
    ran = corpus.run(Models(codec))
    assert (ran.done, ran.failed) == (counts(3), [])
    exported = corpus.export()
    assert (exported.shards, exported.utterances, exported.validation) == (1, 6, 2)
    export = Export.open(corpus.directory, expect_fingerprint=codec.fingerprint)
    rows = export.index().to_pylist()
    assert {row["split"] for row in rows} == {"train", "validation"}
    for i, row in enumerate(rows):
        path = next(
            r.path for r in corpus.catalogue.done("tokenize", "1:fake-codec") if r.id == row["recording"]
        )
        waveform = audio.normalise_loudness(audio.decode(path, 16000, row["start"], row["end"]), 16000)
        np.testing.assert_array_equal(export.codes(i), codec.encode([waveform])[0])
        assert row["frames"] == len(export.codes(i)) == -(-len(waveform) // codec.hop)


def test_running_everything_twice_changes_nothing(corpus, source):
    codec = FakeCodec()
    for _ in range(2):
        corpus.add(source)
        corpus.run(Models(codec))
        corpus.export()
        before = snapshot(corpus.directory)
    assert corpus.add(source).unchanged == 3
    assert corpus.run(Models(codec)).done == counts(0)
    assert len(codec.encoded) == 6
    assert corpus.export().written == 0
    assert snapshot(corpus.directory) == before


def test_the_same_input_gives_the_same_bytes_elsewhere(tmp_path, source):
    for name in ("one", "two"):
        with Corpus.open(tmp_path / name, create=True) as corpus:
            corpus.add(source)
            corpus.run(Models(FakeCodec()))
            corpus.export()
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_new_recordings_add_a_shard_and_leave_the_old_one(corpus, source, tmp_path):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    old = set(os.listdir(corpus.directory / "shards"))
    save_tone(tmp_path / "more" / "x.wav", 6.0, seed=9)
    corpus.add(save_manifest(tmp_path / "more" / "m.jsonl", [{"audio": "x.wav", "turns": [turn(1, 5)]}]))
    codec = FakeCodec()
    corpus.run(Models(codec))
    exported = corpus.export()
    assert (exported.shards, exported.written, exported.utterances, len(codec.encoded)) == (2, 1, 7, 1)
    assert old < set(os.listdir(corpus.directory / "shards"))
    assert len(Export.open(corpus.directory)) == 7


def test_a_corrected_text_keeps_the_codes_and_replaces_its_shard(corpus, source):
    codec = FakeCodec()
    corpus.add(source)
    corpus.run(Models(codec))
    corpus.export()
    source.write_text(source.read_text().replace("eh hallo 1", "eh, hallo!"))
    added = corpus.add(source)
    assert (added.updated, added.unchanged) == (1, 2)
    assert corpus.run(Models(codec)).done == counts(1)
    assert len(codec.encoded) == 6, "spans are unchanged, so nothing is encoded again"
    assert corpus.export().written == 1
    texts = Export.open(corpus.directory).index(["text"]).column("text").to_pylist()
    assert sum("eh, hallo!" in text for text in texts) == 1
    assert len(texts) == 6


def test_another_codec_makes_codes_stale_not_gone(corpus, source):
    corpus.add(source)
    for codec in (FakeCodec("one"), FakeCodec("two"), FakeCodec("one")):
        corpus.run(Models(codec))
        corpus.export()
        assert len(Export.open(corpus.directory, expect_fingerprint=codec.fingerprint)) == 6
    assert codec.encoded == [], "the codes of the first codec were still there"


def test_other_lengths_cut_again(corpus, source):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.run(Models(FakeCodec(), cutting=Cutting(max_seconds=2.1)))
    status = corpus.status()
    assert status.utterances == 9
    assert status.rejects == {"turn of … s is longer than … s and has no times inside": 3}
    assert corpus.export().utterances == 9


BAD_AUDIO = {
    "empty.wav": (lambda p: p.write_bytes(b""), "empty"),
    "garbage.mp3": (lambda p: p.write_bytes(b"\1\2\3" * 5000), "not audio that can be decoded"),
    "playlist.mp3": (
        lambda p: p.write_text("#EXTM3U\n#EXTINF:9,\nr0.wav\n"),
        "not audio that can be decoded",
    ),
    "nan.wav": (lambda p: soundfile.write(p, tone(5.0) * np.float32("nan"), 16000, subtype="FLOAT"), "NaN"),
    "cut.flac": (
        lambda p: (save_tone(p, 5.0), os.truncate(p, p.stat().st_size // 3)),
        "outside the recording|truncated",
    ),
    "short.wav": (lambda p: save_tone(p, 1.0), "outside the recording of 1.00 s"),
    "single.wav": (lambda p: soundfile.write(p, [0.1], 16000), "outside the recording"),
}


@pytest.mark.parametrize("name", BAD_AUDIO)
def test_a_bad_recording_is_failed_with_its_reason_and_the_rest_goes_on(corpus, source, name):
    make, reason = BAD_AUDIO[name]
    make(source.parent / name)
    lines = source.read_text() + json.dumps({"audio": name, "turns": [turn(0.5, 3.5)]}) + "\n"
    source.write_text(lines)
    added = corpus.add(source)
    ran = corpus.run(Models(FakeCodec()))
    assert added.added + len(added.failed) == 4
    ((path, why),) = added.failed + ran.failed
    assert path.endswith(name)
    assert corpus.status().failed[0]["reason"] == why
    assert re.search(reason, why)
    assert "\n" not in why
    assert corpus.export().utterances == 6


def test_eight_channels_at_192_khz_with_a_wrong_extension(corpus, tmp_path):
    save_tone(tmp_path / "x.wav", 3.0, rate=192000, channels=8).rename(tmp_path / "x.mp3")
    corpus.add(save_manifest(tmp_path / "m.jsonl", [{"audio": "x.mp3", "turns": [turn(0.5, 2.5)]}]))
    corpus.run(Models(FakeCodec()))
    assert corpus.export().utterances == 1


def test_digital_silence_is_a_reject(corpus, tmp_path):
    x = tone(6.0)
    x[: 3 * 16000] = 0
    soundfile.write(tmp_path / "x.wav", x, 16000)
    turns = [turn(0, 2), turn(5, 6, "ben")]
    corpus.add(save_manifest(tmp_path / "m.jsonl", [{"audio": "x.wav", "turns": turns}]))
    corpus.run(Models(FakeCodec()))
    assert corpus.status().rejects == {"digital silence where speech should be": 1}
    assert corpus.export().utterances == 1


def test_a_repaired_file_replaces_its_failure(corpus, source):
    path = source.parent / "r1.wav"
    good = path.read_bytes()
    path.write_bytes(b"")
    assert len(corpus.add(source).failed) == 1
    assert corpus.retry("r1.wav") == [str(path)]
    assert corpus.status().failed[0]["reason"].endswith("replace the file.")
    path.write_bytes(good)
    corpus.retry("r1.wav")
    assert corpus.status().failed == []
    corpus.run(Models(FakeCodec()))
    assert corpus.export().utterances == 6
    assert corpus.status().recordings == 3


def test_a_failed_stage_is_not_repeated_until_retried(corpus, source):
    class Broken(FakeCodec):
        def encode(self, waveforms):
            raise ValueError("no such luck")

    corpus.add(source)
    assert [why for _, why in corpus.run(Models(Broken())).failed] == [
        "Unexpected ValueError: no such luck"
    ] * 3
    assert corpus.run(Models(FakeCodec())).done == counts(0)
    assert corpus.retry("r2.wav") == [str(source.parent / "r2.wav")]
    assert corpus.run(Models(FakeCodec())).done == counts(0, tokenize=1)
    assert len(corpus.retry()) == 2
    with pytest.raises(UserError, match="No failed recording goes by nonsense"):
        corpus.retry("nonsense")


def test_one_content_under_two_names_is_one_recording(corpus, source):
    shutil.copy(source.parent / "r0.wav", source.parent / "copy.wav")
    source.write_text(source.read_text() + json.dumps({"audio": "copy.wav", "turns": [turn(0, 1)]}) + "\n")
    added = corpus.add(source)
    assert (added.added, added.duplicate) == (3, 1)
    assert corpus.status().recordings == 3


def test_a_file_with_new_content_replaces_its_recording(corpus, source):
    corpus.add(source)
    save_tone(source.parent / "r0.wav", 12.0, seed=77)
    added = corpus.add(source)
    assert (added.added, added.unchanged) == (1, 2)
    assert corpus.status().recordings == 3


def test_a_vanished_file_fails_alone(corpus, source):
    corpus.add(source)
    (source.parent / "r1.wav").unlink()
    ((path, why),) = corpus.run(Models(FakeCodec())).failed
    assert path.endswith("r1.wav")
    assert "does not exist" in why


def test_a_bad_line_adds_nothing(corpus, source):
    source.write_text(source.read_text() + "{\n")
    with pytest.raises(UserError, match="line 4"):
        corpus.add(source)
    assert corpus.status().recordings == 0


def test_untimed_text_for_a_long_recording_is_refused_with_the_way_forward(corpus, tmp_path):
    save_tone(tmp_path / "x.wav", 31.0)
    save_tone(tmp_path / "y.wav", 3.0)
    lines = [{"audio": "x.wav", "text": "een lang verhaal"}, {"audio": "y.wav", "text": "een kort verhaal"}]
    added = corpus.add(save_manifest(tmp_path / "m.jsonl", lines))
    assert added.added == 1
    assert "align it first" in added.failed[0][1]


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_lost_codes_are_made_again(corpus, source, damage):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    for path in (corpus.directory / "cache" / "codes" / "fake-codec").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(RosellaError, match="delete the file and run"):
            corpus.export()
        path.unlink()
        if damage == "flipped":
            path.write_bytes(data)
            corpus.catalogue.reset(path.stem, "tokenize")
    corpus.run(Models(FakeCodec()))
    assert corpus.export().utterances == 6


def test_a_deleted_shard_is_written_again(corpus, source):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    before = snapshot(corpus.directory)
    for shard in (corpus.directory / "shards").iterdir():
        shard.unlink()
    assert corpus.export().written == 1
    assert snapshot(corpus.directory) == before


def test_what_is_not_there_yet_says_what_to_run(tmp_path, corpus, source):
    with pytest.raises(UserError, match="not a corpus: add recordings"):
        Corpus.open(tmp_path / "absent")
    with pytest.raises(UserError, match="run `rosella corpus run` first"):
        corpus.export()
    corpus.run(Models(FakeCodec()))
    with pytest.raises(UserError, match="No utterance"):
        corpus.export()


def test_the_catalogue_may_live_elsewhere(tmp_path, source, monkeypatch):
    monkeypatch.setenv("ROSELLA_CATALOGUE", f"sqlite:///{tmp_path}/elsewhere.db")
    with Corpus.open(tmp_path / "c", create=True) as corpus:
        corpus.add(source)
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "c" / "catalogue.sqlite").exists()
    with Corpus.open(tmp_path / "c") as corpus:
        assert corpus.status().recordings == 3


INTERRUPTED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from corpus.fakes import FakeCodec
from rosella.corpus import Corpus, Models

class Stopping(FakeCodec):
    def encode(self, waveforms):
        if len(self.encoded) == 2:
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        return super().encode(waveforms)

with Corpus.open(sys.argv[1]) as corpus:
    corpus.run(Models(Stopping()))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_stopped_at_any_moment_it_goes_on_where_it_was(corpus, source, name):
    corpus.add(source)
    tests = os.path.dirname(os.path.dirname(__file__))
    command = [sys.executable, "-c", INTERRUPTED, str(corpus.directory), name, tests]
    ended = subprocess.run(
        command, capture_output=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert (
        ended.returncode in (-signal.SIGINT, 1) if name == "SIGINT" else ended.returncode == -signal.SIGKILL
    )
    assert corpus.status().stages["tokenize"] == {"done": 1, "pending": 2}
    codec = FakeCodec()
    assert corpus.run(Models(codec)).done == counts(0, tokenize=2)
    assert len(codec.encoded) == 4
    assert corpus.export().utterances == 6


def test_an_interruption_between_taking_and_knowing_it_is_no_attempt(corpus, source, monkeypatch):
    def interrupted(*arguments):
        claim(*arguments)
        raise KeyboardInterrupt

    corpus.add(source)
    claim = leases.claim
    monkeypatch.setattr(leases, "claim", interrupted)
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(KeyboardInterrupt):
            corpus.run(Models(FakeCodec()))
    monkeypatch.undo()
    assert corpus.run(Models(FakeCodec())).failed == []


def test_a_full_disk_ends_in_one_sentence_and_loses_nothing(corpus, source):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    save_tone(source.parent / "big.wav", 120.0, seed=5)
    turns = [turn(i, i + 1) for i in range(0, 118, 4)]
    corpus.add(save_manifest(source.parent / "big.jsonl", [{"audio": "big.wav", "turns": turns}]))
    before = snapshot(corpus.directory)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(NoSpace, match="No space left") as error:
            corpus.run(Models(FakeCodec()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert snapshot(corpus.directory) == before
    assert not list(corpus.directory.rglob("*.tmp"))
    corpus.run(Models(FakeCodec()))
    assert corpus.status().failed == []
    assert corpus.export().utterances == 6 + len(turns)


def test_progress_reaches_its_total(corpus, source):
    seen = []
    corpus.add(source, seen.append)
    corpus.run(Models(FakeCodec()), progress=seen.append)
    ended = [(step.stage, step.done, step.total) for step in seen if step.done == step.total]
    assert ended == [(stage, 3, 3) for stage in STAGES]
    audio = corpus.status().seconds
    assert audio > 0
    assert {step.stage: step.seconds for step in seen} == dict.fromkeys(STAGES, audio) | {"scan": 0.0}


def test_facts_hold_where_the_source_says_nothing(corpus, source):
    corpus.add(source, language="en", licence="CC0", show=None)
    recordings = corpus.catalogue.due("diarize", "x")
    assert {(r.language, r.licence, r.show) for r in recordings} == {("nl", "CC0", "demo")}


def test_what_is_known_of_a_recording_goes_with_the_export(corpus, source):
    corpus.add(source, licence="CC0", consent="all of them agreed")
    corpus.run(Models(FakeCodec()))
    corpus.export()
    export = Export.open(corpus.directory)
    spans = export.index(["recording", "start", "end"]).to_pylist()
    assert export.recordings.keys() == {row["recording"] for row in spans}
    for id, told in export.recordings.items():
        spoken = sum(row["end"] - row["start"] for row in spans if row["recording"] == id)
        assert told == {
            "seconds": pytest.approx(spoken, abs=1e-3),
            "language": "nl",
            "licence": "CC0",
            "consent": "all of them agreed",
        }


def test_the_example_of_the_documentation(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "corpus.md").read_text("utf-8")
    example = re.search(r"## From Python\n```python\n(.*?)```", page, re.S)
    assert example is not None
    small_source(tmp_path / "recordings")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rosella.codec.load_codec", lambda name: FakeCodec())
    exec(example[1], {})
    assert capsys.readouterr().out == "6\n"
    assert Corpus.open("podcasts").catalogue.done("scan", "")[0].licence == "CC-BY-4.0"
