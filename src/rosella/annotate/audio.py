"""The sound of clips and its peaks, of one decode, so that what is drawn is what is heard."""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

import numpy as np
from fastapi import Response

from rosella import audio
from rosella.audio.encoding import Writer
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.steps.scan import source_of
from rosella.errors import UserError
from rosella.web.faults import Refusal

logger = logging.getLogger(__name__)

RATE = 24_000
"""Hz of the sound that is sent."""
PEAKS = 100
"""Pairs of peaks for a second."""
_END = 0.1
"""Seconds before the end of a recording from which on all is taken that there is: durations are those of whole frames."""


@dataclass(frozen=True)
class Sound:
    """Samples int16 `[n]` at `RATE` from `start` to `end`, seconds of the recording."""

    start: float
    end: float
    samples: np.ndarray

    @cached_property
    def wav(self) -> bytes:
        file = io.BytesIO()
        with Writer(file, "wav", RATE) as writer:
            writer.write(self.samples.astype(np.float32) / 32768)
        return file.getvalue()

    @cached_property
    def peaks(self) -> list[tuple[float, float]]:
        """The lowest and highest sample, full scale ±1, of each hundredth of a second."""
        width = RATE // PEAKS
        padded = np.pad(self.samples, (0, -len(self.samples) % width), mode="edge").reshape(-1, width)
        lows, highs = (
            np.round(side / 32768, 4).tolist() for side in (padded.min(axis=1), padded.max(axis=1))
        )
        return list(zip(lows, highs, strict=True))


@dataclass
class _Cell:
    lock: threading.Lock = field(default_factory=threading.Lock)
    sound: Sound | None = None


class Sounds:
    """Decodes spans of recordings, and keeps the latest: who draws a clip and who plays it ask for the same."""

    def __init__(self, catalogue: Catalogue, most: int) -> None:
        self._catalogue, self._most = catalogue, most
        self._cells: OrderedDict[tuple[str, float, float], _Cell] = OrderedDict()
        self._lock = threading.Lock()

    def span(self, recording: str, start: float, end: float) -> Sound:
        """From `start` to `end`, seconds, as far as there is any; a Refusal where the file is not what it was."""
        if self._catalogue.known(recording) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such recording: it was removed.")
        key = (recording, round(start, 3), round(end, 3))
        cell = self._cell(key)
        with cell.lock:
            if cell.sound is None:
                cell.sound = self._decode(*key)
        return cell.sound

    def _cell(self, key: tuple[str, float, float]) -> _Cell:
        with self._lock:
            cell = self._cells.setdefault(key, _Cell())
            self._cells.move_to_end(key)
            while len(self._cells) > self._most:
                self._cells.popitem(last=False)
        return cell

    def _decode(self, recording: str, start: float, end: float) -> Sound:
        found, source = self._catalogue.known(recording), self._catalogue.source(recording)
        if found is None or source is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such recording: it was removed.")
        start, until = max(0.0, start), None if end > found.duration - _END else end
        try:
            if source_of(found.path) != source:
                raise UserError(f"{found.path} has changed since it was added: add it again.")
            samples = audio.decode(found.audio, RATE, start, until)
        except UserError as error:
            logger.warning("%s", error)
            raise Refusal(
                HTTPStatus.CONFLICT,
                "The recording's file is not what it was, or cannot be read: tell who runs the server.",
                code="recording_unreadable",
            ) from None
        return Sound(
            start,
            start + len(samples) / RATE,
            np.round(samples.clip(-1, 32767 / 32768) * 32768).astype("<i2"),
        )


def ranged(content: bytes, media_type: str, asked: str | None) -> Response:
    """What a `Range` header asks for of some bytes: all, one stretch, or a Refusal where there is none."""
    size, headers = len(content), {"Accept-Ranges": "bytes"}
    stretch = _stretch(asked, size)
    if stretch is None:
        return Response(content, media_type=media_type, headers=headers)
    first, last = stretch
    if not 0 <= first <= last:
        raise Refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"There are {size:,} bytes: ask for some of them.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(content[first : last + 1], HTTPStatus.PARTIAL_CONTENT, headers, media_type)


def _stretch(asked: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte; None for all, also where the header is none that is known (RFC 9110, 14.2)."""
    unit, _, stretch = (asked or "").partition("=")
    first, dash, last = stretch.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not _digits(first) or not _digits(last) or not first + last:
        return None
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (0, -1)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def _digits(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) < 20)
