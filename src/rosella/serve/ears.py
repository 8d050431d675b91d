"""What the server hears in the recordings that it is sent: their words, and whose voice it is; one request at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

import numpy as np
from fastapi import UploadFile

from rosella import audio
from rosella.errors import UserError
from rosella.speak.voices import LONGEST, require_length
from rosella.web.faults import Refusal

if TYPE_CHECKING:
    from rosella.evaluate.identity import Voices
    from rosella.evaluate.reading import Dictation
    from rosella.speak import Voice

RATE = 16_000
"""Hz at which recordings are heard."""
WAITING = 4
"""Requests with recordings that are taken in at once: the threads of the server are there for speech."""


@dataclass(frozen=True)
class Sound:
    """A recording of 2 to 30 s, as long as its file lies there: what it is decoded from, and float32 `wave` at `RATE`."""

    source: str | PathLike[str]
    seconds: float
    wave: np.ndarray

    def voice(self, text: str, sample_rate: int) -> Voice:
        """As a clip to imitate, at another rate."""
        from rosella.speak import Voice

        return Voice(_decoded(self.source, sample_rate), sample_rate, text)


class Ears:
    """A recogniser and a speaker encoder, loaded when they are first needed; ask them in one's `turn` only."""

    def __init__(self, recogniser: str = "mini") -> None:
        self._name, self._alone, self._places = recogniser, Lock(), BoundedSemaphore(WAITING)

    @contextmanager
    def turn(self) -> Generator[None]:
        """One after the other; whoever finds too many waiting is refused."""
        if not self._places.acquire(blocking=False):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "The server is listening to other recordings: send yours again in a few seconds.",
                code="busy",
                headers={"Retry-After": "5"},
            )
        try:
            with self._alone:
                yield
        finally:
            self._places.release()

    def languages(self) -> set[str]:
        """Those that are understood, as ISO 639-1 codes."""
        return self._transcriber.languages

    def write_down(self, sound: Sound, language: str | None) -> Dictation:
        from rosella.evaluate.reading import write_down

        return write_down(self._transcriber, sound.source, sound.seconds, language)

    def alike(self, one: np.ndarray, other: np.ndarray) -> float:
        """Cosine of the voices in two recordings at `RATE`, 1 being the same; -1 where one tells none."""
        found = self._voices.similarity(one, other)
        return -1.0 if found is None else found

    @cached_property
    def _transcriber(self):
        from rosella.evaluate.reading import reader

        return reader(self._name)

    @cached_property
    def _voices(self) -> Voices:
        from rosella.evaluate.identity import Voices

        return Voices()


@contextmanager
def received(upload: UploadFile, param: str) -> Generator[Sound]:
    """The recording that was sent, in a file of our own naming; Refusal says why it is none."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        path.write_bytes(upload.file.read())
        yield _sound(path, param)


def _sound(path: Path, param: str) -> Sound:
    try:
        info = audio.probe(path)
        require_length(info.duration)
        source = info.heard(path)
        return Sound(source, info.duration, _decoded(source, RATE))
    except UserError as error:
        sentence = str(error).replace(str(path), "The recording")
        raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param=param, code="bad_audio") from error


def _decoded(source: str | PathLike[str], sample_rate: int) -> np.ndarray:
    """No more of it than a voice may last, whatever its times say."""
    return next(audio.blocks(source, sample_rate, LONGEST + 1))
