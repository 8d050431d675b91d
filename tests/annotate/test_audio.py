"""The sound of clips: in its place over an hour, the same as its peaks, and any part of it."""

from __future__ import annotations

import io
import os
import threading
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from annotate.small import FIRST, SECONDS
from rosella import audio as decoding
from rosella.annotate import audio
from rosella.annotate.audio import PEAKS, RATE, Sounds, ranged
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.steps.scan import source_of
from rosella.records import Recording
from rosella.web.faults import Refusal

MP3_RATE, FRAME = 44_100, 1152
CLICK = 5.0
"""Seconds after which each minute clicks."""
HOUR = "d" * 32
QSCALE = 2
"""FFmpeg's flag for a quality instead of a bit rate."""


def minute() -> np.ndarray:
    """Noise and silence in turn, which take few and many bits, and a click in a pause."""
    wave = np.zeros(60 * MP3_RATE, np.float32)
    noise = 0.3 * np.random.default_rng(0).standard_normal(10 * MP3_RATE)
    for start in (10, 30, 50):
        wave[start * MP3_RATE :][: len(noise)] = noise
    click = int(CLICK * MP3_RATE)
    wave[click : click + 220] = 0.9 * np.sin(2 * np.pi * 2000 * np.arange(220) / MP3_RATE)
    return wave


def encoded(minutes: int, counted: bool) -> bytes:
    """MP3 of variable bit rate, with or without a first frame that counts the others."""
    file = io.BytesIO()
    with av.open(
        file, "w", format="mp3", options={"write_xing": str(int(counted)), "id3v2_version": "0"}
    ) as made:
        stream = made.add_stream("libmp3lame", rate=MP3_RATE, layout="mono")
        stream.codec_context.flags |= QSCALE
        stream.codec_context.global_quality = 118  # FF_QP2LAMBDA
        frame = av.AudioFrame.from_ndarray(minute()[None], format="fltp", layout="mono")
        frame.sample_rate = MP3_RATE
        for _ in range(minutes):
            frame.pts = None
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return file.getvalue()


def packets(content: bytes) -> list[int]:
    """Their sizes."""
    with av.open(io.BytesIO(content)) as file:
        return [packet.size for packet in file.demux(audio=0) if packet.size]


def sounds_of(catalogue: Catalogue, path: Path) -> Sounds:
    info = decoding.probe(path)
    assert info.duration > 3500
    recording = Recording(HOUR, str(path), info.duration, info.sample_rate, info.channels)
    catalogue.add(recording, source_of(str(path)), [])
    return Sounds(catalogue, 4)


def clicks(sounds: Sounds, at: float) -> tuple[float, float]:
    """When it clicks near a time, by the samples that are sent and by the peaks that are drawn."""
    sound = sounds.span(HOUR, at - 4, at + 4)
    heard = np.argmax(np.abs(sound.samples) > 0.4 * 32768)
    drawn = np.argmax([high > 0.4 for _, high in sound.peaks])
    return sound.start + heard / RATE, sound.start + drawn / PEAKS


def test_sound_and_peaks_stay_in_their_place_over_an_hour_without_a_header(catalogue, tmp_path):
    """Where a file does not say how many frames it has, a player guesses times from its size."""
    content = encoded(1, counted=False)
    sizes = packets(content)
    assert max(sizes) > 1.5 * min(sizes)
    (tmp_path / "hour.mp3").write_bytes(content * 60)
    sounds, length = sounds_of(catalogue, tmp_path / "hour.mp3"), len(sizes) * FRAME / MP3_RATE
    first, _ = clicks(sounds, CLICK)
    assert first == pytest.approx(CLICK, abs=0.03)  # what encoders put before the sound, and do not say here
    for number in (3, 30, 59):
        heard, drawn = clicks(sounds, number * length + CLICK)
        assert heard == pytest.approx(number * length + first, abs=0.001)
        assert drawn == pytest.approx(heard, abs=0.01)


@pytest.mark.slow
def test_sound_and_peaks_stay_in_their_place_over_an_hour(catalogue, tmp_path):
    (tmp_path / "hour.mp3").write_bytes(encoded(60, counted=True))
    sounds = sounds_of(catalogue, tmp_path / "hour.mp3")
    for number in (3, 30, 59):
        heard, drawn = clicks(sounds, number * 60 + CLICK)
        assert heard == pytest.approx(number * 60 + CLICK, abs=0.001)
        assert drawn == pytest.approx(heard, abs=0.01)


def test_a_clip_is_decoded_once_for_all_who_want_it(catalogue, monkeypatch):
    decoded, decode, together = [], decoding.decode, threading.Barrier(4)
    monkeypatch.setattr(audio.audio, "decode", lambda *asked: decoded.append(asked) or decode(*asked))
    sounds, got = Sounds(catalogue, 2), []

    def ask() -> None:
        together.wait()
        got.append(sounds.span(FIRST, 1.0, 2.0))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == 1 and all(sound is got[0] for sound in got) and len(got) == 4
    for start in (2.0, 3.0, 1.0):  # no more than two are kept
        sounds.span(FIRST, start, start + 1)
    assert len(decoded) == 4


def test_the_end_of_a_recording_is_the_end_of_the_sound(catalogue):
    sound = Sounds(catalogue, 2).span(FIRST, SECONDS - 1, SECONDS + 5)
    assert sound.end == pytest.approx(SECONDS, abs=0.001) and len(sound.samples) == RATE
    with wave.open(io.BytesIO(sound.wav)) as file:
        assert file.readframes(RATE) == sound.samples.tobytes()


def test_a_file_that_has_changed_is_not_heard_as_what_it_was(catalogue, recordings, tmp_path):
    path = tmp_path / "talk.wav"
    path.write_bytes((recordings / "r0.wav").read_bytes())
    catalogue.add(Recording(HOUR, str(path), SECONDS, 16_000, 1), source_of(str(path)), [])
    assert Sounds(catalogue, 2).span(HOUR, 0, 1).end == 1
    os.utime(path, ns=(0, 0))
    for _ in range(2):
        with pytest.raises(Refusal, match="not what it was") as refused:
            Sounds(catalogue, 2).span(HOUR, 0, 1)
        assert str(tmp_path) not in str(refused.value)
        path.unlink(missing_ok=True)


CONTENT = bytes(range(100))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=90-", 90, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=99-99", 99, 99),
    ],
)
def test_a_stretch_is_sent(asked, first, last):
    answer = ranged(CONTENT, "audio/wav", asked)
    assert answer.status_code == 206 and answer.body == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=9-1",
        "bytes=a-b",
        "seconds=1-2",
        "bytes=0-1,5-6",
        "bytes=²-",
    ],
)
def test_what_is_no_range_is_all(asked):
    answer = ranged(CONTENT, "audio/wav", asked)
    assert answer.status_code == 200 and answer.body == CONTENT and answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_stretch_behind_the_end_is_refused(asked):
    with pytest.raises(Refusal) as refused:
        ranged(CONTENT, "audio/wav", asked)
    assert refused.value.status == 416 and refused.value.headers["Content-Range"] == "bytes */100"
