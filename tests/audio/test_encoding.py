"""What is encoded piece by piece is heard from the first bytes on, and whole, whatever the pieces were."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import soundfile

from evaluate.synthetic_speech import RATE, sentence
from rosella import audio
from rosella.audio.encoding import FORMATS, Encoder, Writer

WAVE = sentence("aeiouaeioy", 120)
RATES = (16_000, 24_000, 44_100)
"""Of the mel codec, of what most programs expect, of the DAC."""
PADDING = 2600
"""Samples that MP3 and AAC may add: their lookahead and what fills the last frame."""


def encoded(format: str, wave: np.ndarray, rate: int, step: int, marks=None) -> bytes:
    encoder = Encoder(format, rate, marks or {})
    pieces = [encoder.push(wave[start : start + step]) for start in range(0, len(wave), step)]
    return b"".join([*pieces, encoder.finish()])


def decoded(format: str, data: bytes, rate: int) -> tuple[np.ndarray, int]:
    if format == "pcm":
        return np.frombuffer(data, "<i2") / np.float32(32768), rate
    own = audio.probe(io.BytesIO(data)).sample_rate
    return audio.decode(io.BytesIO(data)), own


def aligned(heard: np.ndarray, source: np.ndarray) -> int:
    """By how many samples a sound comes after its source."""
    size = 1 << (len(heard) + len(source)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(source, size))
    return int(np.fft.irfft(spectrum)[: len(heard)].argmax())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_encoded_is_heard_whole(format, rate):
    wave = audio.resample(WAVE, RATE, rate)
    heard, own = decoded(format, encoded(format, wave, rate, rate // 5), rate)
    source = audio.resample(wave, rate, own)
    late, spare = aligned(heard, source), len(heard) - len(source)
    assert 0 <= spare <= (PADDING if format in ("mp3", "aac") else 1)
    assert 0 <= late <= spare
    heard = heard[late:][: len(source)]
    assert np.corrcoef(heard, source)[0, 1] > (0.99 if FORMATS[format].bit_rate else 0.999999)
    change = audio.speech_level(heard, own) - audio.speech_level(source, own)
    assert change == pytest.approx(
        -0.45 if format == "mp3" else 0.0, abs=0.1
    )  # LAME leaves itself a twentieth
    end = slice(-own // 50, None)
    assert np.abs(heard[end] - source[end]).max() < 0.02


@pytest.mark.parametrize("format", FORMATS)
def test_it_does_not_matter_how_the_sound_was_cut(format):
    whole, _ = decoded(format, encoded(format, WAVE, RATE, len(WAVE)), RATE)
    for step in (37, 1601):
        np.testing.assert_array_equal(decoded(format, encoded(format, WAVE, RATE, step), RATE)[0], whole)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("format", FORMATS)
def test_a_tenth_of_a_second_can_be_heard_at_once(format, rate):
    wave = audio.resample(WAVE, RATE, rate)[rate // 20 :]
    encoder = Encoder(format, rate)
    heard, own = decoded(format, encoder.push(wave[: rate // 10]), rate)
    assert np.abs(heard).max() > 0.02
    assert len(heard) / own >= (0.024 if FORMATS[format].bit_rate else 0.072)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"pcm"}))
def test_headers_come_before_any_sound(format):
    assert len(Encoder(format, RATE).push(np.zeros(0, np.float32))) > 40


def test_a_wav_of_unknown_length_is_read_to_its_end():
    data = encoded("wav", WAVE, RATE, 1000, {"comment": "made by a test"})
    assert data[:8] == b"RIFF\xff\xff\xff\xff" and b"LIST" in data[:100] and b"made by a test" in data[:200]
    assert len(soundfile.read(io.BytesIO(data))[0]) == len(WAVE)
    assert data.endswith(encoded("pcm", WAVE, RATE, 777))


def test_marks_are_read_back_by_others():
    marks = {"comment": "made by a test", "date": "2026-05-03", "SOURCE": "https://example.org/a"}
    for format in sorted(set(FORMATS) - {"pcm"}):
        with av.open(io.BytesIO(encoded(format, WAVE, RATE, 4000, marks))) as container:
            read = {**container.metadata, **container.streams[0].metadata}
        assert read["comment"] == "made by a test" and read["date"] == "2026-05-03"
        assert format == "wav" or read["SOURCE"] == "https://example.org/a"


def test_nothing_at_all_is_a_header():
    assert Encoder("pcm", RATE).finish() == b""
    for format in ("wav", "flac"):
        with av.open(io.BytesIO(Encoder(format, RATE).finish())) as container:
            assert container.streams.audio and not list(container.decode(audio=0))
    for format in ("mp3", "aac", "opus"):
        assert Encoder(format, RATE).finish()[:4] in (b"ID3\x04", b"OggS")


@pytest.mark.parametrize("format", FORMATS)
def test_a_sink_that_takes_no_more_is_heard_of(format):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), Writer(Full(), format, RATE) as writer:
        writer.write(WAVE)


def test_what_is_too_loud_is_clipped():
    data = encoded("pcm", np.array([2.0, -2.0, 0.5], np.float32), RATE, 2)
    assert np.frombuffer(data, "<i2").tolist() == [32767, -32768, 16384]
