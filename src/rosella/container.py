"""An audio file that FFmpeg has open (PyAV): its frames, moving among them, and the mean of their channels.

Only plain containers are allowed: playlists and whatever else would make FFmpeg open a second file are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from rosella.errors import UserError

_MAX_RATE = 768_000
_TOGETHER = 1 << 16
"""Samples brought to mono at once; a frame (26 ms of MP3) is too short for NumPy to be quick with it."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,"
    "tta,w64,wav,wv"
)
_INTEGER_SCALE = {"uint8": 128.0, "int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}


@dataclass
class Stream:
    """The first audio track of an open file. Rate in Hz."""

    container: Any
    stream: Any
    name: str
    rate: int
    channels: int
    origin: float
    """Presentation time of the first sample, seconds; encoder delay makes it differ from zero."""
    first: Any
    """The first frame, already decoded. Seeking back to it would lose what the container says to skip."""


@contextmanager
def opened(source: BinaryIO, name: str) -> Iterator[Stream]:
    """Open what a file object holds; a UserError, in which `name` stands for it, says why it has no audio."""
    import av
    from av.error import FFmpegError

    try:
        # Only the object is read: a demuxer that wants another file finds no protocol and is not on the list.
        container = av.open(source, options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"})
    except (FFmpegError, ValueError) as error:
        raise UserError(
            f"{name} is not audio that can be decoded: it is damaged, truncated or of another kind; "
            "convert it to wav, flac or mp3."
        ) from error
    with container:
        yield _first_frame(container, name)


def _first_frame(container: Any, name: str) -> Stream:
    if not container.streams.audio:
        raise UserError(f"{name} has no audio track: name a file with sound.")
    stream = container.streams.audio[0]
    stream.thread_type = "NONE"
    audio = Stream(container, stream, name, 0, 0, 0.0, None)
    frame = audio.first = next(frames(audio), None)
    if frame is None:
        raise UserError(f"{name} holds no audio samples: it is empty or truncated; replace the file.")
    if not 0 < frame.sample_rate <= _MAX_RATE:
        raise UserError(f"{name} claims {frame.sample_rate} Hz: convert it to at most {_MAX_RATE} Hz.")
    audio.rate, audio.channels = frame.sample_rate, frame.layout.nb_channels
    audio.origin = time_of(frame) or 0.0
    return audio


def packets(audio: Stream) -> Iterator[Any]:
    """Packets up to the end, or to where a damaged container stops being readable."""
    from av.error import FFmpegError

    demuxed = audio.container.demux(audio.stream)
    while True:
        try:
            yield next(demuxed)
        except (StopIteration, FFmpegError):
            return


def frames(audio: Stream) -> Iterator[Any]:
    """Decoded frames; a packet that cannot be decoded is skipped, and missed later as missing samples."""
    from av.error import FFmpegError

    for packet in packets(audio):
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def time_of(frame: Any) -> float | None:
    """Presentation time in seconds, where the container gives one."""
    return None if frame.pts is None else float(frame.pts * frame.time_base)


def until(coming: Iterable[Any], samples: float) -> Iterator[Any]:
    """Frames up to the one that completes `samples`."""
    for frame in coming:
        yield frame
        samples -= frame.samples
        if samples <= 0:
            return


def seek(audio: Stream, target: float) -> bool:
    """Move to the last packet before `target`, a presentation time in seconds; False where that cannot be done."""
    from av.error import FFmpegError

    try:
        audio.container.seek(int(target / audio.stream.time_base), stream=audio.stream)
    except FFmpegError:
        return False
    return True


def mono(audio: Stream, coming: Iterable[Any]) -> Iterator[np.ndarray]:
    """Mean of the frames' channels as float32 `[samples]`, full scale ±1, many frames at a time."""
    import av

    for (_, rate, channels), alike in groupby(coming, _kind):
        if (rate, channels) != (audio.rate, audio.channels):
            raise UserError(
                f"{audio.name} changes its rate or channels midway: convert it to one format first."
            )
        queue = av.AudioFifo()
        for frame in alike:
            frame.pts = None  # or the queue refuses times that do not count samples from zero
            queue.write(frame)
            if queue.samples >= _TOGETHER:
                yield _mean(queue.read(), channels)
        if queue.samples:
            yield _mean(queue.read(), channels)


def _kind(frame: Any) -> tuple[str, int, int]:
    return frame.format.name, frame.sample_rate, frame.layout.nb_channels


def _mean(frame: Any, channels: int) -> np.ndarray:
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, channels).T
    total = samples[0].astype(np.float32)
    for plane in samples[1:]:
        total += plane
    if samples.dtype == np.uint8:
        total -= 128 * channels
    total /= _INTEGER_SCALE.get(samples.dtype.name, 1.0) * channels
    return total
