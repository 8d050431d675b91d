"""Recordings as programs and browsers send them."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import soundfile

RATE = 16_000


def tone(seconds: float = 3.0, pitch: float = 200.0, level: float = 0.3) -> np.ndarray:
    """float32 [samples] at `RATE`."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def wav(wave: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    """Also of several channels, [samples, channels]."""
    file = BytesIO()
    soundfile.write(file, wave, rate, subtype, format="WAV")
    return file.getvalue()


class _Pipe(BytesIO):
    """Cannot be sought in, so that no length is written at its end: what a browser's recorder sends is like that."""

    seek = None  # type: ignore[assignment]


def coded(wave: np.ndarray, container: str, codec: str, picture: bool = False) -> bytes:
    """In a container of FFmpeg's, after a second of film where a `picture` is wanted."""
    file = _Pipe()
    fragments = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else {}
    with av.open(file, "w", format=container, options=fragments) as out:
        if picture:
            film = out.add_stream("mpeg4", rate=10)
            film.width = film.height = 32
        if len(wave):
            sound = out.add_stream(codec, rate=48_000, layout="mono")
        if picture:
            for _ in range(10):
                out.mux(film.encode(av.VideoFrame(32, 32, "yuv420p")))
            out.mux(film.encode())
        if len(wave):
            frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            frame.rate = RATE
            resampler = av.AudioResampler(sound.format, "mono", 48_000, sound.frame_size or 1024)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(sound.encode(part))
            out.mux(sound.encode())
    return file.getvalue()
