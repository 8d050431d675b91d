from __future__ import annotations

import io
import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from rosella import audio
from rosella.errors import UserError

RATE = 44100


def sweep(seconds: float, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * (200 + 40 * t) * t) + 0.02 * noise).astype(np.float32)


def encode(path, codec: str, rate: int, seconds: float = 12.0, video: bool = False):
    """Write a sweep with FFmpeg, the way other people's files are made."""
    with av.open(str(path), "w") as container:
        if video:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(sweep(seconds, rate)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            rate,
            0,
            Fraction(1, rate),
        )  # a time lets the encoder declare its delay
        resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.frame_size or 0)
        if video:
            for _ in range(int(seconds * 10)):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


FORMATS = [
    ("wav", "pcm_s16le", 44100),
    ("wav", "pcm_u8", 8000),
    ("wav", "pcm_f32le", 192000),
    ("flac", "flac", 44100),
    ("mp3", "libmp3lame", 44100),
    ("opus", "libopus", 48000),
    ("m4a", "aac", 44100),
]


@pytest.mark.parametrize(("suffix", "codec", "rate"), FORMATS)
def test_a_span_holds_the_samples_of_the_whole(tmp_path, suffix, codec, rate):
    path = encode(tmp_path / f"a.{suffix}", codec, rate)
    whole = audio.decode(path)
    assert abs(len(whole) / rate - 12) < 0.06
    lossy_noise = 0.2 if codec == "aac" else 1e-6  # AAC fills some bands with random noise
    for start, end in [(0.0, 1.0), (0.3, 0.9), (3.217, 5.501), (10.7, 11.9)]:
        span = audio.decode(path, start=start, end=end)
        expected = whole[round(start * rate) : round(end * rate)]
        assert len(span) == len(expected)
        assert np.abs(span - expected).max() < lossy_noise
        assert np.corrcoef(span, expected)[0, 1] > 0.99


@pytest.mark.parametrize(("suffix", "codec", "rate"), FORMATS)
def test_decoding_is_aligned_with_what_was_encoded(tmp_path, suffix, codec, rate):
    path = encode(tmp_path / f"a.{suffix}", codec, rate)
    start, end = 5.0, 6.0
    span = audio.decode(path, start=start, end=end)
    reference = sweep(12, rate)
    at = {
        lag: np.dot(span, reference[round(5 * rate) + lag : round(6 * rate) + lag]) for lag in range(-60, 61)
    }
    assert abs(max(at, key=at.__getitem__)) <= 1


def test_probe_and_resampled_length(tmp_path):
    path = encode(tmp_path / "a.flac", "flac", 44100, 3.0)
    info = audio.probe(path)
    assert (info.sample_rate, info.channels, info.format) == (44100, 1, "flac")
    assert info.duration == pytest.approx(3.0, abs=0.01)
    assert len(audio.decode(path, 16000, 1.0, 2.0)) == 16000


@pytest.mark.parametrize(("suffix", "codec", "rate"), FORMATS)
def test_blocks_are_the_whole_in_pieces(tmp_path, suffix, codec, rate):
    path = encode(tmp_path / f"a.{suffix}", codec, rate, seconds=5.0)
    parts = list(audio.blocks(path, 16_000, seconds=1.5))
    assert [len(part) for part in parts[:3]] == [24_000] * 3
    whole = audio.decode(path, 16_000)
    joined = np.concatenate(parts)
    np.testing.assert_array_equal(joined, whole)


@pytest.mark.parametrize(("channels", "rate"), [(2, 44100), (8, 48000), (1, 192000)])
def test_channels_become_their_mean_and_any_rate_is_read(tmp_path, channels, rate):
    x = np.stack([sweep(1.0, rate) * (i + 1) / channels for i in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", x, rate, subtype="FLOAT")
    assert audio.probe(tmp_path / "a.wav").channels == channels
    np.testing.assert_allclose(audio.decode(tmp_path / "a.wav"), x.mean(1), atol=1e-6)


def test_content_counts_not_the_name(tmp_path):
    encode(tmp_path / "a.mp3", "libmp3lame", 44100, 3.0)
    (tmp_path / "a.mp3").rename(tmp_path / "a.wav")
    assert audio.probe(tmp_path / "a.wav").format == "mp3"
    assert len(audio.decode(tmp_path / "a.wav", start=1.0, end=2.0)) == 44100


def test_the_sound_of_a_video_is_read(tmp_path):
    path = encode(tmp_path / "a.mp4", "aac", 44100, 3.0, video=True)
    assert len(audio.decode(path, start=1.0, end=2.0)) == 44100


def test_a_wav_streamed_without_a_size_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", sweep(2.0), RATE)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[data.index(b"data") + 4 : data.index(b"data") + 8] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(data)
    assert audio.probe(tmp_path / "a.wav").duration == pytest.approx(2.0, abs=0.01)


def wav_header(rate: int = RATE, size: int = 0) -> bytes:
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        2 * rate,
        2,
        16,
        b"data",
        size,
    )


BAD_FILES = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "header only": (wav_header(), "no audio samples"),
    "zero hertz": (wav_header(0, 2000) + bytes(2000), "not audio that can be decoded|0 Hz"),
    "text": (b"hello " * 1000, "not audio that can be decoded"),
    "zeros": (bytes(50000), "not audio that can be decoded"),
    "hls playlist": (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "not audio that can be decoded",
    ),
    "remote playlist": (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "not audio that can be decoded",
    ),
    "concat script": (b"ffconcat version 1.0\nfile secret.wav\n", "not audio that can be decoded"),
    "dash": (
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x"><Period/></MPD>',
        "not audio that can be decoded",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("read", [audio.probe, audio.decode])
def test_unreadable_files_are_refused_in_one_sentence(tmp_path, monkeypatch, kind, read):
    content, reason = BAD_FILES[kind]
    monkeypatch.chdir(tmp_path)
    soundfile.write("secret.wav", sweep(2.0), RATE)
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        read(tmp_path / "a.mp3")
    assert "\n" not in str(error.value)


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "a.mp3": "ffconcat version 1.0\nfile secret.ts\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_no_second_file_is_ever_opened(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "secret.ts", "aac", 44100, 3.0)
    (tmp_path / name).write_text(PLAYLISTS[name])
    with av.open(name) as unguarded:
        assert next(unguarded.decode(audio=0)).samples, "FFmpeg would follow this one"
    with pytest.raises(UserError, match="not audio that can be decoded"):
        audio.decode(tmp_path / name)


@pytest.mark.parametrize("suffix", ["m4a", "flac", "mp3", "opus", "wav"])
def test_a_truncated_file_never_yields_a_short_span(tmp_path, suffix):
    codec = {"m4a": "aac", "flac": "flac", "mp3": "libmp3lame", "opus": "libopus", "wav": "pcm_s16le"}[suffix]
    path = encode(tmp_path / f"a.{suffix}", codec, 48000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated"):
        audio.decode(path, start=9.0, end=11.0)
    if suffix != "m4a":  # whose index stands at its end
        assert len(audio.decode(path, start=1.0, end=2.0)) == 48000
    if suffix in (
        "opus",
        "wav",
    ):  # which do not say how long they are, or are often written without knowing it
        assert audio.probe(path).duration < 8


def bare_mp3(path, seconds: float = 12.0):
    """An MP3 without a header that counts its frames; 209 or 208 bytes each, after the first."""
    encode(path, "libmp3lame", RATE, seconds)
    with av.open(str(path)) as container:
        path.write_bytes(b"".join(bytes(packet) for packet in container.demux()))
    return path


def cut(path, size: int):
    path.write_bytes(path.read_bytes()[:size])
    return path


@pytest.mark.parametrize("suffix", ["mp3", "flac", "mka", "aiff"])
def test_a_file_that_announces_more_than_it_holds_is_truncated(tmp_path, suffix):
    codec = {"mp3": "libmp3lame", "flac": "flac", "mka": "libopus", "aiff": "pcm_s16be"}[suffix]
    path = encode(tmp_path / f"a.{suffix}", codec, 48000)
    assert audio.probe(path).channel is None
    size = path.stat().st_size // 3
    if suffix == "mp3":
        with av.open(str(path)) as container:  # between two frames, so that only the count tells
            size = next(packet.pos for packet in container.demux() if packet.pos > size)
    with pytest.raises(UserError, match=r"announces 12\.0 s and holds [34]\.\d s: it is truncated"):
        audio.probe(cut(path, size))


def test_an_mp3_that_breaks_off_within_a_frame_is_truncated(tmp_path):
    path = bare_mp3(tmp_path / "a.mp3")
    whole = path.read_bytes()
    assert audio.probe(path).duration == pytest.approx(12.0, abs=0.1)
    with pytest.raises(UserError, match="breaks off within a frame: it is truncated"):
        audio.probe(cut(path, len(whole) // 3 + 50))
    for tail in (b"TAG" + b"x" * 125, bytes(3000), b"LYRICSBEGIN" + b"y" * 200 + b"000200LYRICS200"):
        path.write_bytes(whole + tail)
        assert audio.probe(path).duration == pytest.approx(12.0, abs=0.1), (
            "what follows the sound is no frame"
        )


def test_an_mp3_of_changing_bit_rate_announces_nothing_that_is_only_guessed(tmp_path):
    loud, quiet = bare_mp3(tmp_path / "a.mp3", 3.0).read_bytes(), bytes([0xFF, 0xFB, 0x10, 0xC4]) + bytes(100)
    path = tmp_path / "b.mp3"
    path.write_bytes(loud + 300 * quiet)
    with av.open(str(path)) as container:
        guessed = container.duration / 1e6
    assert guessed != pytest.approx(audio.probe(path).duration, abs=1.0)
    path.write_bytes(300 * quiet + loud)
    assert audio.probe(path).duration > 9


def test_a_file_that_begins_anew_is_refused(tmp_path):
    for name in ("a", "b"):
        soundfile.write(tmp_path / name, sweep(3.0), RATE, format="OGG", subtype="VORBIS")
    (tmp_path / "c.ogg").write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    with pytest.raises(UserError, match=r"several recordings in one file, its times begin anew after 3\.0 s"):
        audio.probe(tmp_path / "c.ogg")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused_where_they_are(tmp_path, bad):
    x = sweep(4.0)
    x[RATE * 3] = bad
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
    assert len(audio.decode(tmp_path / "a.wav", start=0.5, end=1.5)) == RATE
    assert len(audio.decode(tmp_path / "a.wav", start=3.2, end=3.7)) == RATE / 2, (
        "decoded from before the bad one"
    )
    with pytest.raises(UserError, match="NaN or infinite samples"):
        audio.decode(tmp_path / "a.wav", start=2.5, end=3.5)


def test_a_span_is_resampled_as_if_it_were_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", sweep(6.0), RATE)
    span = audio.decode(tmp_path / "a.wav", start=0.5, end=5.5)
    resampled = audio.decode(tmp_path / "a.wav", 16_000, 0.5, 5.5)
    np.testing.assert_array_equal(resampled, audio.resample(span, RATE, 16_000))


def test_one_sample_is_audio(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), RATE)
    assert len(audio.decode(tmp_path / "a.wav")) == 1
    assert audio.probe(tmp_path / "a.wav").duration == pytest.approx(1 / RATE)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        audio.probe(tmp_path / "absent.wav")
    with pytest.raises(UserError, match="is a folder"):
        audio.probe(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(UserError, match="not a regular file"):
        audio.probe(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    with pytest.raises(UserError, match=r"does not exist|cannot be opened"):
        audio.probe(tmp_path / "loop.wav")


def test_a_picture_is_no_audio(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        container.mux(
            picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))
        )
        container.mux(picture.encode(None))
    with pytest.raises(UserError, match="no audio track"):
        audio.probe(tmp_path / "a.mp4")


class Counting(io.FileIO):
    total = 0

    def read(self, size=-1):
        data = super().read(size)
        self.total += len(data)
        return data


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("opus", "libopus")])
def test_a_small_span_reads_a_small_part_of_the_file(tmp_path, suffix, codec):
    path = encode(tmp_path / f"a.{suffix}", codec, 48000, 120.0)
    with Counting(path) as file:
        assert len(audio.decode(file, start=100.0, end=101.0)) == 48000
        assert file.total < path.stat().st_size / 4


def test_loudness_is_that_of_the_speech_without_its_pauses():
    speech = np.concatenate([sweep(2.0, 16000), np.zeros(48000, np.float32)])
    for gain in (0.01, 0.3, 2.0):
        level = audio.speech_level(audio.normalise_loudness(speech * gain, 16000), 16000)
        assert level == pytest.approx(audio.LOUDNESS_DBFS, abs=0.1)


def test_loudness_never_clips_and_leaves_silence_alone():
    click = np.zeros(16000, np.float32)
    click[::400] = 1.0
    assert np.abs(audio.normalise_loudness(click * 0.1, 16000)).max() <= audio.PEAK + 1e-6
    assert not audio.normalise_loudness(np.zeros(100, np.float32), 16000).any()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".opus", ".ogg"])
def test_what_is_written_can_be_read(tmp_path, suffix):
    x = sweep(1.0, 16000)
    audio.write(tmp_path / f"a{suffix}", x, 16000)
    y = audio.decode(tmp_path / f"a{suffix}", 16000)
    assert abs(len(y) - len(x)) < 200
    assert np.corrcoef(x[: len(y)], y[: len(x)])[0, 1] > 0.95


def test_writing_where_it_cannot_be_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"name it \.wav"):
        audio.write(tmp_path / "a.m4a", sweep(0.1), RATE)
    with pytest.raises(UserError, match="does not exist"):
        audio.write(tmp_path / "no" / "a.wav", sweep(0.1), RATE)


def opposite(path, codec: str, gain: float = -1.0):
    """A stereo file whose channels cancel each other but for what a lossy codec adds; the left one is a sweep."""
    wave = np.stack([sweep(12.0), gain * sweep(12.0)], axis=1)
    soundfile.write(path, wave, RATE, **({"subtype": "FLOAT"} if codec == "WAV" else {}), format=codec)
    return path


@pytest.mark.parametrize("codec", ["WAV", "FLAC", "MP3"])
def test_channels_that_cancel_each_other_are_heard_by_the_loudest(tmp_path, codec):
    path = opposite(tmp_path / "a", codec, gain=-0.9)
    info = audio.probe(path)
    assert info.channel == 0 and audio.speech_level(audio.decode(path), RATE) < -30
    heard = info.heard(path)
    whole = audio.decode(heard)
    assert np.corrcoef(whole[:RATE], sweep(1.0))[0, 1] > 0.99
    for start, end in [(0.3, 0.9), (3.217, 5.501), (10.7, 11.9)]:
        span = audio.decode(heard, start=start, end=end)
        assert np.abs(span - whole[round(start * RATE) : round(end * RATE)]).max() < 1e-6
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(heard, RATE, 1.5))), whole)


@pytest.mark.parametrize("codec", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize("gain", [1.0, 0.0, -0.5])
def test_the_mean_is_heard_as_long_as_it_says_something(tmp_path, codec, gain):
    assert audio.probe(opposite(tmp_path / "a", codec, gain)).channel is None
    noise = np.random.default_rng(0).standard_normal((12 * RATE, 8)).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "b.wav", noise, RATE)
    assert audio.probe(tmp_path / "b.wav").channel is None
    soundfile.write(tmp_path / "c.wav", 0 * noise, RATE)
    assert audio.probe(tmp_path / "c.wav").channel is None


def test_speech_is_from_the_first_sound_to_the_last() -> None:
    sound = np.sin(np.arange(RATE) * 0.3).astype(np.float32)
    hiss = 0.001 * np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    wave = np.concatenate([hiss, sound, hiss, sound, hiss, hiss])
    assert audio.speech_span(wave, RATE) == pytest.approx((0.5, 3.0), abs=0.05)
    assert audio.speech_span(sound, RATE) == (0.0, 1.0)
    assert audio.speech_span(np.zeros(RATE, np.float32), RATE) == (0.0, 0.0)
    assert audio.speech_span(np.zeros(0, np.float32), RATE) == (0.0, 0.0)
