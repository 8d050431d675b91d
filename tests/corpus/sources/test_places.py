from __future__ import annotations

import errno
import re
import shutil

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from corpus.fakes import FakeCodec, save_manifest, save_tone, turn
from rosella import audio
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.sources.read import read_source
from rosella.corpus.steps import scan
from rosella.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("a.wav", "deep/b.wav", "deep/c.wav")):
        save_tone(tmp_path / "audio" / name, 3.0, seed=number)
    (tmp_path / "audio" / "notes.pdf").write_bytes(b"no audio")
    return tmp_path / "audio"


@pytest.fixture
def bucket(folder):
    """The folder in a store that is no disk."""
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket", recursive=True)
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


@pytest.fixture
def corpus(tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


def names(entries):
    return [entry.audio.name for entry in entries]


def test_a_folder_a_glob_and_a_list(folder, tmp_path):
    assert names(read_source(folder)) == ["a.wav", "b.wav", "c.wav"]
    assert names(read_source(f"{folder}/deep/*")) == ["b.wav", "c.wav"]
    assert names(read_source(f"{folder}/**/?.wav")) == ["a.wav", "b.wav", "c.wav"]
    assert names(read_source(f"file://{folder}/deep")) == ["b.wav", "c.wav"]
    (tmp_path / "list.txt").write_text(f"audio/deep/c.wav\n\n{folder}/a.wav\ns3://bucket/x.mp3\n")
    listed = read_source(tmp_path / "list.txt")
    assert [entry.place for entry in listed] == [
        str(folder / "deep" / "c.wav"),
        str(folder / "a.wav"),
        "s3://bucket/x.mp3",
    ]


def test_a_name_with_brackets_is_a_name_where_it_exists(folder):
    (folder / "a.wav").rename(folder / "a [live].wav")
    assert names(read_source(folder / "a [live].wav")) == ["a [live].wav"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("absent.wav", "line 1: the audio file absent.wav does not exist"),
        ("audio/a.wav\naudio/a.wav", r"line 2: a\.wav is already in line 1"),
        ("https://x/a.mp3", "line 1: .* is a web address"),
        ("\n", "lists no recordings"),
    ],
)
def test_bad_lists_are_refused_by_line(folder, tmp_path, lines, reason):
    (tmp_path / "list.txt").write_text(lines)
    with pytest.raises(UserError, match=reason):
        read_source(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/nowhere/*.wav", "No audio file matches"),
        ("memory://nowhere", "holds no audio files"),
        ("https://example.org/x", "is a web address"),
        ("nonsense://x", "names no storage"),
        ("s3://key:secret@bucket", "credentials into the environment"),
    ],
)
def test_places_that_hold_nothing_say_so(place, reason):
    with pytest.raises(UserError, match=reason) as error:
        read_source(place)
    assert "secret" not in str(error.value)


def test_a_prefix_and_a_glob_of_a_bucket(bucket):
    assert [entry.place for entry in read_source(bucket)] == [
        "memory:///bucket/a.wav",
        "memory:///bucket/deep/b.wav",
        "memory:///bucket/deep/c.wav",
    ]
    assert names(read_source(f"{bucket}/deep/?.wav")) == ["b.wav", "c.wav"]
    assert names(read_source(f"{bucket}/a.wav")) == ["a.wav"]


def test_transcripts_in_a_bucket_are_not_overlooked(bucket):
    fsspec.filesystem("memory").pipe("/bucket/a.srt", b"1\n")
    with pytest.raises(UserError, match=r"holds transcripts \(a\.srt\)"):
        read_source(bucket)


def test_remote_and_local_audio_become_the_same_codes(corpus, bucket, folder, tmp_path):
    turns = [turn(0.5, 2.5)]
    corpus.add(save_manifest(tmp_path / "m.jsonl", [{"audio": f"{bucket}/a.wav", "turns": turns}]))
    assert corpus.run(Models(FakeCodec())).failed == []
    (recording,) = corpus.catalogue.done("scan", "")
    assert recording.path == f"{bucket}/a.wav"
    with Corpus.open(tmp_path / "other", create=True) as other:
        other.add(save_manifest(tmp_path / "l.jsonl", [{"audio": "audio/a.wav", "turns": turns}]))
        other.run(Models(FakeCodec()))
        (same,) = other.catalogue.done("scan", "")
        assert (same.id, same.duration) == (recording.id, recording.duration)
        assert other.catalogue.utterances(same.id) == corpus.catalogue.utterances(same.id)
    waveform = audio.decode(recording.path, 16000, 1.0, 2.0)
    assert (waveform == audio.decode(folder / "a.wav", 16000, 1.0, 2.0)).all()


def test_a_bucket_is_read_once_and_again_where_it_changed(corpus, bucket, folder):
    assert corpus.add(bucket).added == 3
    assert corpus.add(bucket).unchanged == 3
    save_tone(folder / "new.wav", 2.0, seed=9)
    fsspec.filesystem("memory").pipe("/bucket/a.wav", (folder / "new.wav").read_bytes())
    added = corpus.add(bucket)
    assert (added.added, added.unchanged) == (1, 2)
    assert corpus.status().recordings == 3


def test_what_a_bucket_lost_or_holds_broken_fails_alone(corpus, bucket, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/broken.mp3", b"nothing")
    (tmp_path / "l.txt").write_text(f"{bucket}/a.wav\n{bucket}/absent.wav\n{bucket}/broken.mp3\n")
    added = corpus.add(tmp_path / "l.txt")
    assert added.added == 1
    reasons = dict(added.failed)
    assert "absent.wav does not exist" in reasons[f"{bucket}/absent.wav"]
    assert "broken.mp3 is not audio" in reasons[f"{bucket}/broken.mp3"]
    memory.pipe("/bucket/absent.wav", memory.cat("/bucket/deep/b.wav"))
    corpus.retry("absent.wav")
    assert len(corpus.status().failed) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("info", r"memory://bucket/a.wav cannot be opened \(the store is away\): check .* the connection"),
        ("copy", r"memory://bucket/a.wav cannot be read to its end \(the store is away\): check"),
    ],
)
def test_a_store_that_goes_away_fails_what_it_holds_until_it_is_back(
    corpus, bucket, folder, tmp_path, monkeypatch, broken, reason
):
    def away(*_, **__):
        raise RuntimeError("the store is away")

    (tmp_path / "list.txt").write_text(f"{bucket}/a.wav\n{folder}/deep/b.wav\n")
    with monkeypatch.context() as meanwhile:
        if broken == "info":
            meanwhile.setattr(MemoryFileSystem, "info", away)
            meanwhile.setattr(MemoryFileSystem, "_open", away)
        else:
            meanwhile.setattr(scan, "copyfileobj", away)
        added = corpus.add(tmp_path / "list.txt")
    assert (added.added, len(added.failed)) == (1, 1)
    assert re.search(reason, added.failed[0][1])
    corpus.retry()
    assert corpus.status().stages["scan"] == {"done": 2}


def test_a_disk_that_fails_in_mid_file_fails_it_alone(corpus, folder, monkeypatch):
    hash_of, errors = scan.content_id, [OSError(errno.EIO, "Input/output error")]

    def first_fails(file):
        if errors:
            raise errors.pop()
        return hash_of(file)

    monkeypatch.setattr(scan, "content_id", first_fails)
    added = corpus.add(folder)
    assert (added.added, len(added.failed)) == (2, 1)
    assert "cannot be read to its end ([Errno 5] Input/output error)" in added.failed[0][1]


def test_storage_whose_library_is_missing_names_the_extra(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.url_to_fs", missing)
    monkeypatch.setattr("fsspec.open", missing)
    with pytest.raises(UserError, match=r"install rosella-tts\[cloud\]"):
        read_source("s3://bucket/x")
    with pytest.raises(UserError, match=r"install rosella-tts\[cloud\]"):
        audio.probe("s3://bucket/x.mp3")


def test_adding_audio_again_without_its_transcript_keeps_it(corpus, folder, tmp_path):
    corpus.add(save_manifest(tmp_path / "m.jsonl", [{"audio": "audio/a.wav", "turns": [turn(0, 2)]}]))
    added = corpus.add(folder)
    assert (added.added, added.unchanged) == (2, 1)
    assert len(corpus.catalogue.turns(read_id(corpus, "a.wav"))) == 1


def read_id(corpus, name):
    return next(r.id for r in corpus.catalogue.done("scan", "") if r.path.endswith(name))


def test_a_moved_file_is_found_under_its_new_name(corpus, folder):
    corpus.add(folder)
    shutil.move(folder / "a.wav", folder / "z.wav")
    corpus.add(folder)
    assert read_id(corpus, "z.wav")
    assert corpus.status().recordings == 3


def test_what_is_not_named_like_audio_is_passed_over_and_told(tmp_path):
    for name in ("a.WAVE", "b", ".hidden", "c.srt", "notes.pdf"):
        save_tone(tmp_path / "x.wav", 1.0).rename(tmp_path / name)
    (tmp_path / "c.srt").unlink()
    for place in (tmp_path, f"{tmp_path}/*"):
        other: list[str] = []
        assert names(read_source(place, other.append)) == ["a.WAVE"]
        assert other == [str(tmp_path / "b"), str(tmp_path / "notes.pdf")]
    assert names(read_source(tmp_path / "b")) == ["b"]
