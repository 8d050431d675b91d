"""Pieces that are written as they come are the file that is written at once."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from evaluate.synthetic_speech import RATE, sentence
from rosella import audio
from rosella.errors import UserError

WAVE = sentence("aeioua", 120)
PIECES = [WAVE[:1000], WAVE[1000:1000], WAVE[1000:1003], WAVE[1003:]]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aac"])
def test_pieces_are_the_whole(tmp_path, suffix):
    audio.write(tmp_path / f"whole{suffix}", WAVE, RATE)
    assert audio.write_pieces(tmp_path / f"pieces{suffix}", iter(PIECES), RATE) == len(WAVE)
    whole, pieces = (audio.decode(tmp_path / f"{name}{suffix}") for name in ("whole", "pieces"))
    np.testing.assert_array_equal(whole, pieces)
    if suffix in (".wav", ".flac"):
        assert np.abs(whole - WAVE).max() <= 2**-16


def test_a_pipe_gets_samples_of_16_bit():
    pipe = io.BytesIO()
    assert audio.write_pieces(pipe, iter([*PIECES, np.array([2.0, -2.0])]), RATE) == len(WAVE) + 2
    samples = np.frombuffer(pipe.getvalue(), "<i2")
    np.testing.assert_allclose(samples[:-2] / 32768, WAVE, atol=2**-16)
    assert samples[-2:].tolist() == [32767, -32768]


def test_what_cannot_be_written_is_refused_before_the_first_piece(tmp_path):
    pieces = iter(PIECES)
    with pytest.raises(UserError, match=r"name it \.wav, .* or \.aac\."):
        audio.write_pieces(tmp_path / "out.m4a", pieces, RATE)
    with pytest.raises(UserError, match="the folder .* does not exist"):
        audio.require_writable(tmp_path / "none" / "out.opus")
    assert len(next(pieces)) == 1000


def test_what_was_written_before_a_fault_can_be_heard(tmp_path):
    def breaking():
        yield WAVE[:1000]
        raise UserError("No.")

    with pytest.raises(UserError, match=r"No\."):
        audio.write_pieces(tmp_path / "out.wav", breaking(), RATE)
    assert soundfile.info(tmp_path / "out.wav").frames == 1000


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_file_that_is_done_says_how_long_it_is(tmp_path, suffix):
    audio.write_pieces(tmp_path / f"out{suffix}", iter(PIECES), RATE)
    found = soundfile.info(tmp_path / f"out{suffix}")
    assert found.frames / found.samplerate == pytest.approx(len(WAVE) / RATE, abs=2e-5)
