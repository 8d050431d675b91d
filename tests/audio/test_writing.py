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


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus"])
def test_pieces_are_the_whole(tmp_path, suffix):
    audio.write(tmp_path / f"whole{suffix}", WAVE, RATE)
    assert audio.write_pieces(tmp_path / f"pieces{suffix}", iter(PIECES), RATE) == len(WAVE)
    whole, pieces = (audio.decode(tmp_path / f"{name}{suffix}") for name in ("whole", "pieces"))
    assert len(whole) == len(pieces)
    assert np.abs(whole - pieces).max() <= (2**-15 if suffix in (".wav", ".flac") else 0.05)


def test_a_pipe_gets_samples_of_16_bit():
    pipe = io.BytesIO()
    assert audio.write_pieces(pipe, iter([*PIECES, np.array([2.0, -2.0])]), RATE) == len(WAVE) + 2
    samples = np.frombuffer(pipe.getvalue(), "<i2")
    np.testing.assert_allclose(samples[:-2] / 32767, WAVE, atol=2**-15)
    assert samples[-2:].tolist() == [32767, -32767]


def test_what_cannot_be_written_is_refused_before_the_first_piece(tmp_path):
    pieces = iter(PIECES)
    with pytest.raises(UserError, match=r"name it \.wav"):
        audio.write_pieces(tmp_path / "out.mp3", pieces, RATE)
    with pytest.raises(UserError, match="Opus cannot hold 22050 Hz"):
        audio.require_writable(tmp_path / "out.opus", 22050)
    assert len(next(pieces)) == 1000


def test_what_was_written_before_a_fault_can_be_heard(tmp_path):
    def breaking():
        yield WAVE[:1000]
        raise UserError("No.")

    with pytest.raises(UserError, match=r"No\."):
        audio.write_pieces(tmp_path / "out.wav", breaking(), RATE)
    assert soundfile.info(tmp_path / "out.wav").frames == 1000
