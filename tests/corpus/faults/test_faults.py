"""The audio and path rows of docs/faults.md: what is bad fails with its reason, and the rest is done."""

from __future__ import annotations

import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import unicodedata
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, tone, turn
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.sources.entries import Entry
from rosella.corpus.sources.read import read_source
from rosella.corpus.steps import scan
from rosella.errors import UserError
from rosella.records import Turn


@pytest.fixture
def corpus(tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


def mp3(path: Path, seconds: float = 5.0, picture: str | None = None) -> Path:
    """Speech-like sound as mp3 (in whatever container the name says), with a video track or cover art."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "aac" if picture == "mpeg4" else "libmp3lame", rate=44100, layout="mono"
        )
        if picture:
            image = container.add_stream(picture, rate=1)
            image.width = image.height = 64
            image.pix_fmt = "yuvj420p" if picture == "mjpeg" else "yuv420p"
            for _ in range(1 if picture == "mjpeg" else int(seconds)):
                pixels = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(image.encode(pixels.reformat(format=image.pix_fmt)))
            container.mux(image.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(seconds, 44100)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        resampler = av.AudioResampler(stream.format.name, "mono", 44100, frame_size=stream.frame_size or 0)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def header(path: Path, at: int, value: int, length: int | None = None) -> None:
    """A good wav whose 32-bit field at a position says something else, cut to `length` bytes."""
    data = bytearray(save_tone(path, 5.0).read_bytes())
    data[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(bytes(data[:length]))


def samples(path: Path, value: float) -> None:
    x = tone(5.0)
    x[20000] = value
    soundfile.write(path, x, 16000, subtype="FLOAT")


def truncated(path: Path) -> None:
    os.truncate(mp3(path), path.stat().st_size // 3)


def chained(path: Path) -> None:
    parts = []
    for seed in (0, 1):
        soundfile.write(path, tone(5.0, seed=seed), 16000, format="OGG", subtype="VORBIS")
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))


SECRET = "/etc/hostname"
BAD_AUDIO = {
    "no-bytes.wav": (lambda p: p.write_bytes(b""), "is empty"),
    "truncated.mp3": (truncated, "is truncated"),
    "chained.ogg": (chained, "several recordings in one file"),
    "header-only.wav": (lambda p: header(p, 40, 0, 44), "no audio samples"),
    "zero-hertz.wav": (lambda p: header(p, 24, 0), "not audio that can be decoded|claims 0 Hz"),
    "nan.wav": (lambda p: samples(p, np.nan), "NaN or infinite"),
    "infinite.wav": (lambda p: samples(p, np.inf), "NaN or infinite"),
    "one-sample.wav": (lambda p: soundfile.write(p, [0.1], 16000), "outside the recording"),
    "playlist.mp3": (lambda p: p.write_text(f"#EXTM3U\n#EXTINF:9,\n{SECRET}\n"), "not audio"),
    "concat.mp3": (lambda p: p.write_text(f"ffconcat version 1.0\nfile {SECRET}\n"), "not audio"),
    "text.mp3": (lambda p: p.write_text("hello " * 1000), "not audio"),
    "bomb.mp3": (lambda p: bomb(p), "not audio"),
    "silent-film.mp4": (lambda p: film(p), "no audio track"),
}
GOOD_AUDIO = {
    "endless-size.wav": lambda p: header(p, 40, 0xFFFFFFFF),
    "eight-channels.wav": lambda p: save_tone(p, 5.0, channels=8),
    "192-khz.wav": lambda p: save_tone(p, 5.0, rate=192000),
    "really-mp3.wav": lambda p: mp3(p.with_suffix(".mp3")).rename(p),
    "video.mp4": lambda p: mp3(p, picture="mpeg4"),
    "cover-art.mp3": lambda p: mp3(p, picture="mjpeg"),
}


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.wav", bytes(10_000_000))


def film(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 64
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))


def test_bad_audio_fails_with_its_reason_and_the_rest_is_done(corpus, tmp_path):
    source = small_source(tmp_path / "source", recordings=2)
    lines = source.read_text().splitlines()
    for name, (make, _) in BAD_AUDIO.items():
        make(source.parent / name)
        lines.append({"audio": name, "turns": [turn(0.5, 4.5)]})
    for name, make in GOOD_AUDIO.items():
        make(source.parent / name)
        lines.append({"audio": name, "turns": [turn(0.5, 4.5)]})
    save_manifest(source, lines)
    added = corpus.add(source)
    ran = corpus.run(Models(FakeCodec()))
    reasons = {Path(path).name: reason for path, reason in added.failed + ran.failed}
    assert reasons.keys() == BAD_AUDIO.keys()
    for name, (_, reason) in BAD_AUDIO.items():
        assert re.search(reason, reasons[name]), (name, reasons[name])
        assert "\n" not in reasons[name]
    assert {Path(f["path"]).name: f["reason"] for f in corpus.status().failed} == reasons
    assert corpus.export().utterances == 4 + len(GOOD_AUDIO)
    assert not (tmp_path / "escaped.wav").exists()


def test_all_zeros_are_a_reject(corpus, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(80000), 16000)
    corpus.add(save_manifest(tmp_path / "m.jsonl", [{"audio": "x.wav", "turns": [turn(0.5, 4.5)]}]))
    assert corpus.run(Models(FakeCodec())).failed == []
    assert corpus.status().rejects == {"digital silence where speech should be": 1}


def test_a_file_that_changes_while_it_is_read_fails_until_it_is_added_again(corpus, tmp_path, monkeypatch):
    source = small_source(tmp_path / "source")
    growing, probe = source.parent / "r1.wav", scan.audio.probe

    def grow(file):
        if file.name == str(growing):
            with growing.open("ab") as end:
                end.write(b"more")
        return probe(file)

    monkeypatch.setattr(scan.audio, "probe", grow)
    added = corpus.add(source)
    assert added.added == 2
    assert [reason for _, reason in added.failed] == [
        f"{growing} changed while it was read: add it again when it is complete."
    ]
    monkeypatch.undo()
    assert corpus.add(source).added == 1
    assert corpus.status().failed == []


def test_a_file_that_changes_after_it_was_added_fails_until_it_is_added_again(corpus, tmp_path):
    source = small_source(tmp_path / "source")
    corpus.add(source)
    changed = save_tone(source.parent / "r1.wav", 12.0, seed=7)
    ran = corpus.run(Models(FakeCodec()))
    assert ran.failed == [(str(changed), f"{changed} changed since it was added: add it again.")]
    assert ran.done["tokenize"] == 2
    assert corpus.add(source).added == 1
    assert corpus.run(Models(FakeCodec())).failed == [] and corpus.status().failed == []


def test_duplicate_bytes_under_two_names_are_one_recording(corpus, tmp_path):
    save_tone(tmp_path / "in" / "a.wav", 3.0)
    shutil.copy(tmp_path / "in" / "a.wav", tmp_path / "in" / "b.wav")
    added = corpus.add(tmp_path / "in")
    assert (added.added, added.duplicate) == (1, 1)
    assert corpus.add(tmp_path / "in").added == 0


def hours_long(path: Path, seconds: int) -> Path:
    """A wav that takes no space: of eight bits, in which the zeros of a hole are no silence."""
    rate = 8000
    sizes = 36 + seconds * rate, seconds * rate
    fields = (b"RIFF", sizes[0], b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8, b"data", sizes[1])
    with path.open("wb") as file:
        file.write(struct.pack("<4sI4s4sIHHIIHH4sI", *fields))
        file.truncate(44 + sizes[1])
    return path


ONE_WORKER = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from corpus.fakes import FakeCodec
from rosella.corpus.project import Corpus

class Talkative(FakeCodec):
    frame_rate, hop = 800.0, 20

with Corpus.open(sys.argv[1], create=True) as corpus:
    assert corpus.add(sys.argv[3]).failed == []
    assert corpus.run(Models(Talkative())).failed == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_megabytes(folder: Path, seconds: int) -> int:
    """Of one worker whose codes are as large as those of ten such codecs: 23 MB an hour."""
    folder.mkdir()
    hours_long(folder / "x.wav", seconds)
    turns = [turn(start, start + 18.0) for start in range(0, seconds, 20)]
    manifest = save_manifest(folder / "m.jsonl", [{"audio": "x.wav", "turns": turns}])
    command = [sys.executable, "-c", ONE_WORKER, folder / "corpus", Path(__file__).parents[2], manifest]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.slow
def test_ten_hours_take_no_more_memory_than_ten_minutes(tmp_path):
    short, long = peak_megabytes(tmp_path / "short", 600), peak_megabytes(tmp_path / "long", 36_000)
    print(f"peak of one worker: {short} MB for ten minutes, {long} MB for ten hours")
    assert long < short + 100


def twins() -> list[str]:
    return [unicodedata.normalize(form, "café.wav") for form in ("NFC", "NFD")]


@pytest.mark.parametrize("name", ["-rf.wav", "a" * 251 + ".wav", "een twee 'drie' \"vier\".wav", "日本🎙.wav"])
def test_odd_names_are_names(corpus, tmp_path, name):
    save_tone(tmp_path / "in" / name, 5.0)
    corpus.add(save_manifest(tmp_path / "in" / "m.jsonl", [{"audio": name, "turns": [turn(0.5, 4.5)]}]))
    assert corpus.run(Models(FakeCodec())).failed == []
    assert corpus.export().utterances == 1


def test_composed_and_decomposed_names_are_two_files(corpus, tmp_path):
    for seed, name in enumerate(twins()):
        save_tone(tmp_path / "in" / name, 3.0, seed=seed)
    assert len(os.listdir(tmp_path / "in")) == 2
    assert corpus.add(tmp_path / "in").added == 2
    assert sorted(Path(r.path).name for r in corpus.catalogue.done("scan", "")) == sorted(twins())


def test_unprintable_names_fail_alone(corpus, tmp_path):
    save_tone(tmp_path / "in" / "good.wav", 3.0)
    save_tone(tmp_path / "in" / "new\nline.wav", 3.0, seed=1)
    shutil.copy(tmp_path / "in" / "good.wav", os.fsencode(tmp_path / "in") + b"/not-utf8-\xff.wav")
    added = corpus.add(tmp_path / "in")
    assert added.added == 1
    assert [path.rpartition("/")[2] for path, _ in added.failed] == ["new\\nline.wav", "not-utf8-\\udcff.wav"]
    assert all("unprintable characters: rename it" in reason for _, reason in added.failed)
    failed = corpus.status().failed
    assert len(failed) == 2
    corpus.retry()
    assert corpus.status().failed == failed, "looked for where it is, and found with the same fault"
    os.rename(tmp_path / "in" / "new\nline.wav", tmp_path / "in" / "line.wav")
    corpus.retry()
    assert "does not exist" in next(f["reason"] for f in corpus.status().failed if "new" in f["path"])


def test_links_are_followed_and_loops_end(corpus, tmp_path):
    save_tone(tmp_path / "elsewhere" / "b.wav", 3.0, seed=1)
    save_tone(tmp_path / "in" / "a.wav", 3.0)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self.wav").symlink_to("self.wav")
    (tmp_path / "in" / "broken.wav").symlink_to("nowhere.wav")
    (tmp_path / "in" / "far").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "in" / "pipe.wav")
    assert sorted(entry.audio.name for entry in read_source(tmp_path / "in")) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("name", ["../in/a.wav", "./a.wav", "{folder}/a.wav"])
def test_dots_and_absolute_paths_lead_to_one_recording(corpus, tmp_path, name):
    save_tone(tmp_path / "in" / "a.wav", 3.0)
    corpus.add(tmp_path / "in" / "a.wav")
    line = {"audio": name.format(folder=tmp_path / "in"), "turns": [turn(0, 2)]}
    added = corpus.add(save_manifest(tmp_path / "in" / "m.jsonl", [line]))
    assert (added.updated, corpus.status().recordings) == (1, 1)


@pytest.mark.parametrize("path", ["a\0b.wav", "x" * 300, "x/" * 3000, ""])
def test_what_can_be_no_path_is_refused_in_one_sentence(path):
    with pytest.raises(UserError, match=r"cannot be a path|neither a manifest|does not exist") as error:
        read_source(path)
    assert "\n" not in str(error.value)


def test_audio_from_a_data_set_cannot_leave_its_folder(corpus, tmp_path):
    data = save_tone(tmp_path / "x.wav", 3.0).read_bytes()
    entry = Entry(Path("../../escaped.wav"), (Turn(0.0, 2.0, "a", "hoi"),), "row 1", embedded=lambda: data)
    assert corpus.add_entries([entry]).added == 1
    (recording,) = corpus.catalogue.done("scan", "")
    assert Path(recording.path).parent == corpus.directory / "audio"


DENIED = """
import sys
from rosella.corpus.project import Corpus

with Corpus.open(sys.argv[1], create=True) as corpus:
    added = corpus.add(sys.argv[2])
    print(added.added, *added.failed)
"""


def test_files_without_permission_fail_alone(tmp_path):
    save_tone(tmp_path / "in" / "good.wav", 3.0)
    save_tone(tmp_path / "in" / "secret.wav", 3.0, seed=1).chmod(0)
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    if plain and not shutil.which("setpriv"):
        pytest.skip("root reads everything here")
    command = [*plain, sys.executable, "-c", DENIED, str(tmp_path / "corpus"), str(tmp_path / "in")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 ")
    assert "secret.wav cannot be opened (Permission denied): check its permissions." in ran.stdout


def test_a_folder_that_cannot_be_listed_is_not_overlooked(tmp_path, monkeypatch):
    save_tone(tmp_path / "in" / "good.wav", 1.0)

    def walk(folder, followlinks, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))
        return iter(())

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(UserError, match=r"closed cannot be listed \(Permission denied\)"):
        read_source(tmp_path / "in")


def test_a_huge_claim_in_a_header_takes_no_memory(corpus, tmp_path):
    """A header may claim what it likes: the duration is what is there."""
    header(tmp_path / "x.wav", 4, 0xFFFFFFFF)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    corpus.add(tmp_path / "x.wav")
    (recording,) = corpus.catalogue.done("scan", "")
    assert recording.duration == pytest.approx(5.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
