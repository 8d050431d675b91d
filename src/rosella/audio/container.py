"""An audio file that FFmpeg has open (PyAV): its frames, moving among them, and the mean of their channels.

Only plain containers are allowed: playlists and whatever else would make FFmpeg open a second file are refused.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from rosella.errors import UserError

_MAX_RATE = 768_000
_TOGETHER = 1 << 16
"""Samples brought to mono at once; a frame (26 ms of MP3) is too short for NumPy to be quick with it."""

_LISTEN, _EVERY = 0.5, 10.0
"""Seconds of a recording in which its channels are compared, and from one such time to the next."""

_CANCELLED = 0.05
"""Of the power that a mean of channels with nothing in common would have (-13 dB): one with less has lost them."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,"
    "tta,w64,wav,wv"
)
_ANNOUNCING = ("mp3", "flac", "aiff", "matroska,webm")
"""Containers of which FFmpeg tells how long they say they are, and not how long they turn out to be."""

_FRAME_COUNT = re.compile(rb"\xff[\xe0-\xff].{2,38}?(?:Xing|Info|VBRI)", re.DOTALL)
_HEADER_FRAME = 4096

_INTEGER_SCALE = {"uint8": 128.0, "int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}


@dataclass
class Stream:
    """The first audio track of an open file. Rate in Hz."""

    container: Any
    stream: Any
    file: BinaryIO
    name: str
    rate: int
    channels: int
    origin: float
    """Presentation time of the first sample, seconds; encoder delay makes it differ from zero."""
    first: Any
    """The first frame, already decoded. Seeking back to it would lose what the container says to skip."""
    channel: int | None = None
    """The one that is heard; None for the mean of all."""


@contextmanager
def opened(source: BinaryIO, name: str) -> Generator[Stream]:
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
        yield _first_frame(container, source, name)


def _first_frame(container: Any, file: BinaryIO, name: str) -> Stream:
    if not container.streams.audio:
        raise UserError(f"{name} has no audio track: name a file with sound.")
    stream = container.streams.audio[0]
    stream.thread_type = "NONE"
    audio = Stream(container, stream, file, name, 0, 0, 0.0, None)
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


def announced(audio: Stream) -> float | None:
    """The seconds of sound that a file says it has; None where it does not say, or FFmpeg only guesses from its size."""
    kind, stream = audio.container.format.name, audio.stream
    if kind not in _ANNOUNCING or (kind == "mp3" and not _counts_frames(audio.file)):
        return None
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    length, alone = audio.container.duration, len(audio.container.streams) == 1
    return length / 1e6 if length and alone else None


def _counts_frames(file: BinaryIO) -> bool:
    """Whether an MP3 begins with a frame that holds the number of the others instead of sound."""
    before = file.tell()
    file.seek(0)
    head = file.read(10)
    if head[:3] == b"ID3":  # its size is in four bytes of seven bits
        size = sum(byte << 7 * (3 - place) for place, byte in enumerate(head[6:10]))
        file.seek(10 + size)
        head = b""
    head += file.read(_HEADER_FRAME)
    file.seek(before)
    return _FRAME_COUNT.search(head) is not None


def broken_off(audio: Stream, last: Any) -> bool:
    """Whether the last packet of an MP3 is the beginning of a frame; tags and filling behind the sound are none."""
    import av

    if last is None or audio.container.format.name != "mp3":
        return False
    data = bytes(last)
    begins = len(data) > 4 and data[0] == 0xFF and data[1] >= 0xE0
    return begins and not av.CodecContext.create("mp3", "r").parse(data)


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
    """Mean of the frames' channels, or the one to hear, as float32 `[samples]`, full scale ±1, many frames at a time."""
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
                yield _mean(queue.read(), audio.channel)
        if queue.samples:
            yield _mean(queue.read(), audio.channel)


def _kind(frame: Any) -> tuple[str, int, int]:
    return frame.format.name, frame.sample_rate, frame.layout.nb_channels


def _mean(frame: Any, channel: int | None) -> np.ndarray:
    samples = _planes(frame)
    heard = samples if channel is None else samples[channel : channel + 1]
    total = heard[0].astype(np.float32)
    for plane in heard[1:]:
        total += plane
    if samples.dtype == np.uint8:
        total -= 128 * len(heard)
    total /= _INTEGER_SCALE.get(samples.dtype.name, 1.0) * len(heard)
    return total


def _planes(frame: Any) -> np.ndarray:
    """Samples as the frame has them, `[channels, samples]`."""
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


class Levels:
    """The power of an open file's channels and of their mean, in half a second out of every ten: packets come in order."""

    def __init__(self, audio: Stream) -> None:
        self._audio, self._listening = audio, False
        self._power, self._mean = np.zeros(audio.channels), 0.0

    def hear(self, packet: Any, at: float) -> None:
        """Decode a packet at a time in seconds, if it is one of those that are listened to."""
        listened, self._listening = self._listening, self._audio.channels > 1 and at % _EVERY < _LISTEN
        if not self._listening:
            return
        from av.error import FFmpegError

        if not listened:
            self._audio.stream.codec_context.flush_buffers()
        try:
            decoded = packet.decode()
        except FFmpegError:
            return
        for frame in decoded:
            if frame.layout.nb_channels == self._audio.channels:
                self._add(_planes(frame))

    def _add(self, planes: np.ndarray) -> None:
        samples = planes.astype(np.float32)
        if planes.dtype == np.uint8:
            samples -= 128
        power = np.einsum("cs,cs->c", samples, samples, dtype=np.float64)
        if np.isfinite(power).all():
            self._power += power
            self._mean += float(np.square(samples.mean(axis=0), dtype=np.float64).sum())

    def alone(self) -> int | None:
        """The loudest channel, where the mean of all says next to nothing of them; else None.

        Channels that have nothing in common give a mean of a share of their power, alike ones all of it; opposite ones
        cancel each other.
        """
        uncorrelated = self._power.mean() / len(self._power)
        return int(self._power.argmax()) if self._mean < _CANCELLED * uncorrelated else None
