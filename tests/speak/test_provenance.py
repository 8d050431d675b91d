"""Marks of generated speech are read back by other programs, in every format that has room for them."""

from __future__ import annotations

import io
from datetime import date

import av
import numpy as np
import pytest
import soundfile

from rosella import __version__, audio
from rosella.audio.encoding import FORMATS, Encoder
from rosella.speak.provenance import SOURCE_TYPE, marks, model_name

WAVE = np.full(16_000, 0.1, np.float32)
MARKED = sorted(set(FORMATS) - {"pcm"})


def streamed(format: str) -> bytes:
    encoder = Encoder(format, 16_000, marks("mini"))
    return encoder.push(WAVE) + encoder.finish()


@pytest.mark.parametrize("format", MARKED)
def test_ffmpeg_reads_who_spoke_when_and_with_what(format):
    with av.open(io.BytesIO(streamed(format))) as container:
        read = {**container.metadata, **container.streams[0].metadata}
    assert read["comment"].startswith("AI-generated speech.") and read["comment"].endswith("Model: mini")
    assert SOURCE_TYPE in read["comment"]
    assert read["encoded_by"] == f"Rosella {__version__}"
    assert abs((date.today() - date.fromisoformat(read["date"])).days) <= 1
    assert format == "wav" or read["DigitalSourceType"] == SOURCE_TYPE


def test_libsndfile_reads_a_wav_too():
    with soundfile.SoundFile(io.BytesIO(streamed("wav"))) as read:
        assert SOURCE_TYPE in read.comment


@pytest.mark.parametrize("format", ["flac", "opus"])
def test_the_fields_are_those_of_vorbis_comments(format):
    first = Encoder(format, 16_000, marks("mini")).push(WAVE[:0])
    assert (
        b"DESCRIPTION=AI-generated speech." in first and f"DigitalSourceType={SOURCE_TYPE}".encode() in first
    )


@pytest.mark.parametrize("format", ["mp3", "aac"])
def test_tags_of_a_stream_stand_before_its_sound(format):
    first = Encoder(format, 16_000, marks("mini")).push(WAVE[:0])
    assert first.startswith(b"ID3\x04")
    assert b"TXXX" in first and SOURCE_TYPE.encode() in first


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aac"])
def test_files_are_marked_whole_or_in_pieces(tmp_path, suffix):
    audio.write(tmp_path / f"whole{suffix}", WAVE, 16_000, marks("mini"))
    audio.write_pieces(tmp_path / f"pieces{suffix}", [WAVE], 16_000, marks("mini"))
    for path in tmp_path.iterdir():
        assert SOURCE_TYPE.encode() in path.read_bytes()


def test_a_model_is_named_without_its_folders(tmp_path):
    (tmp_path / "runs" / "frisian" / "model").mkdir(parents=True)
    (tmp_path / "big").mkdir()
    assert model_name(tmp_path / "runs" / "frisian" / "model") == "frisian"
    assert model_name(str(tmp_path / "big")) == "big"
    assert model_name("nari-labs/Dia-1.6B-0626") == "nari-labs/Dia-1.6B-0626"
