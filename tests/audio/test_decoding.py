from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audio.test_audio import FORMATS, RATE, Counting, encode, sweep
from rosella import audio
from rosella.errors import UserError


@pytest.mark.parametrize(("suffix", "codec", "rate"), FORMATS)
def test_spans_of_an_open_file_are_those_of_the_whole(tmp_path, suffix, codec, rate):
    path = encode(tmp_path / f"a.{suffix}", codec, rate)
    lossy_noise = 0.2 if codec == "aac" else 1e-6
    whole = np.concatenate(list(audio.blocks(path, rate)))
    with audio.Reader(path) as reader:
        for start, end in [
            (0.3, 0.9),
            (0.0, 1.0),
            (5.0, 7.5),
            (7.4, 8.0),
            (10.7, 11.9),
            (3.217, 3.3),
            (0.5, 2.0),
        ]:
            span, alone = reader.decode(None, start, end), whole[round(start * rate) : round(end * rate)]
            assert span.shape == alone.shape
            assert np.abs(span - alone).max() < lossy_noise
            assert np.corrcoef(span, alone)[0, 1] > 0.99


def test_spans_of_an_open_file_fail_alone(tmp_path):
    path = encode(tmp_path / "a.mp3", "libmp3lame", 44100, 5.0)
    with audio.Reader(path) as reader:
        for start, end in [(2.0, 3.0), (90.0, 91.0), (3.0, 20.0), (2.0, 3.0)]:
            if end <= 5.0:
                np.testing.assert_array_equal(
                    reader.decode(None, start, end), audio.decode(path, None, start, end)
                )
            else:
                with pytest.raises(UserError, match="truncated"):
                    reader.decode(None, start, end)
    with audio.Reader(tmp_path / "none.mp3") as reader, pytest.raises(UserError, match="does not exist"):
        reader.decode()


def test_an_open_mp3_is_walked_through_once(tmp_path):
    path = encode(tmp_path / "a.mp3", "libmp3lame", 44100, 120.0)
    with Counting(path) as file, audio.Reader(file) as reader:
        for start in range(2, 118, 4):
            reader.decode(None, start, start + 1)
        assert file.total < 4 * path.stat().st_size


def test_a_file_that_cannot_be_sought_is_read_from_its_beginning(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.flac", "flac", 44100, 6.0)
    whole = audio.decode(path)
    monkeypatch.setattr(audio.container, "seek", lambda *_: False)
    with audio.Reader(path) as reader:
        for start in (4.0, 2.0):
            np.testing.assert_array_equal(
                reader.decode(None, start, start + 1), whole[round(start * RATE) : round((start + 1) * RATE)]
            )


def test_a_change_of_channels_midway_is_refused(tmp_path):
    for name, channels in (("a", 2), ("b", 1)):
        wave = np.stack([sweep(2.0)] * channels, 1)
        soundfile.write(tmp_path / f"{name}.mp3", wave, RATE, format="MP3")
    joined = tmp_path / "joined.mp3"
    joined.write_bytes((tmp_path / "a.mp3").read_bytes() + (tmp_path / "b.mp3").read_bytes())
    with audio.Reader(joined) as reader:
        assert len(reader.decode(None, 0.0, 1.5)) == round(1.5 * RATE)
        with pytest.raises(UserError, match="changes its rate or channels midway"):
            reader.decode(None, 1.0, 3.5)
