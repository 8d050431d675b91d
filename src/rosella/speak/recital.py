"""A script of any length, spoken piece after piece, each in the voices of those before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from rosella import dialogue
from rosella.codec.streaming import StreamDecoder
from rosella.errors import UserError
from rosella.speak import voices
from rosella.speak.script import Piece, read_script, split
from rosella.speak.subtitles import Cue

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.inference.generate import Running
    from rosella.inference.sampling import Sampling
    from rosella.model.config import DiaConfig

LONGEST_SECONDS = 30.0
"""Of what a model says at once, unless more is asked for."""
FIRST, LATER = 0.1, 0.2
"""Seconds of the pieces that a stream comes in."""
OTHER = 1_000_003
"""From one seed of a piece to the next that is tried."""
SLOW = 12.0
"""Bytes of text that a second of slow speech says: by them a piece is told how long it may be."""


class Speaking(Protocol):
    """What begins a generation: the part of a `Speaker` that a recital needs."""

    codec: Codec
    config: DiaConfig

    def begin(
        self, ids: np.ndarray, prompt: np.ndarray | None, frames: int, seed: int, sampling: Sampling
    ) -> Running: ...


class Said(NamedTuple):
    """A text with its tags and the codes [frames, codebooks] in which it was said, to go on from."""

    text: str
    codes: np.ndarray

    def then(self, other: Said) -> Said:
        """Both, one after the other."""
        text = voices.continued(self.text, other.text) if self.text else other.text
        return Said(text, np.concatenate([self.codes, other.codes]))


class Recital:
    """Iterate over it to hear it, once: float32 [samples] each time. `cues` and `stopped` tell what was said so far."""

    def __init__(
        self,
        speaker: Speaking,
        text: str,
        voice: voices.Voices | None,
        seed: int,
        max_seconds: float | None,
        sampling: Sampling,
    ) -> None:
        """Raises UserError for what the speaker cannot say; see `Speaker.stream`."""
        self._speaker, self._seed, self._sampling = speaker, seed, sampling
        self._rate, self.sample_rate = speaker.codec.frame_rate, speaker.codec.sample_rate
        self._left = None if max_seconds is None else max(1, math.floor(_positive(max_seconds) * self._rate))
        nothing = np.zeros((0, speaker.codec.num_codebooks), np.uint16)
        self._clips = Said("", nothing)
        if voice is not None:
            self._clips = Said(voices.transcript(voice), voices.codes(voice, speaker.codec))
        script = read_script(text)
        self._pause_before = script.pause_before
        self.pieces = split(script, self._budget())
        if len(self.pieces) > 1:
            self.pieces = split(script, max(self._budget() // 2, 16))
        self._said: dict[int, Said] = {}  # by the number of the piece
        self._samples = 0
        self.cues: list[Cue] = []
        """Each turn of each piece with its times; turns of one piece by their share of its characters."""
        self.stopped = True
        """Whether every piece ended by itself."""

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from self._silence(self._pause_before)
        for number, piece in enumerate(self.pieces):
            if self._left == 0:
                self.stopped = False
                return
            yield from self._say(number, self._seed + number)
            yield from self._silence(piece.pause_after)

    def _budget(self) -> int:
        """Bytes of text that the model can say at once behind the clips."""
        free = voices.room_after(len(self._clips.codes), self._speaker.config, self._rate)
        limit = self._speaker.config.encoder.max_position_embeddings
        read = voices.bytes_after(self._clips.text, limit) if self._clips.text else limit
        return min(read, math.floor(min(free / self._rate, LONGEST_SECONDS) * SLOW))

    def _say(self, place: int, seed: int) -> Iterator[np.ndarray]:
        """One that ends before it says anything is said again, at last as if it were the first."""
        piece, begun = self.pieces[place], self._samples
        before = self._before(piece)
        for number, start in enumerate((before, before, self._clips)):
            running = self._begin(piece, start, seed + number * OTHER)
            waves = self._pieces(running)
            heard = next(waves, None)
            if heard is not None:
                break
        else:
            self.stopped = False
            return
        for wave in chain([heard], waves):
            self._samples += len(wave)
            yield wave
        made = running.so_far()
        self._said[place] = Said(piece.text, made.codes[0])
        self.stopped &= bool(made.stopped[0])
        if self._left is not None:
            self._left = max(self._left - len(made.codes[0]), 0)
        self.cues += _cues(piece, begun / self.sample_rate, self._samples / self.sample_rate)

    def _begin(self, piece: Piece, before: Said, seed: int) -> Running:
        speaker = self._speaker
        limit = speaker.config.encoder.max_position_embeddings
        alone = dialogue.encode(piece.text, limit)
        ids = voices.encode_after(before.text, piece.text, limit) if before.text else alone
        room = voices.room_after(len(before.codes), speaker.config, self._rate)
        most = math.ceil(LONGEST_SECONDS * self._rate) if self._left is None else self._left
        prompt = before.codes if before.text else None
        return speaker.begin(ids, prompt, min(room, most), seed, self._sampling)

    def _pieces(self, running: Running) -> Iterator[np.ndarray]:
        decoder, known = StreamDecoder(self._speaker.codec), 0
        first, later = (max(1, round(seconds * self._rate)) for seconds in (FIRST, LATER))
        steps = self._speaker.config.longest_delay + self._speaker.codec.context + first
        while not running.finished:
            running.advance(steps)
            codes, steps = running.so_far().codes[0], later
            wave = decoder.push(codes[known:])
            known = len(codes)
            if len(wave):
                yield wave
        rest = decoder.finish()
        if len(rest):
            yield rest

    def _before(self, piece: Piece) -> Said:
        """What the piece goes on from: the clips, else the first piece of each of its speakers, and the piece before it.

        Where not all of that fits beside it, the first pieces alone, or the last, or only the clips.
        """
        last = list(self._said)[-1:]
        first = [] if self._clips.text else self._first(piece.speakers)
        for chosen in (sorted({*first, *last}), first, last):
            before = self._clips
            for number in chosen:
                before = before.then(self._said[number])
            if self._fits(before, piece):
                return before
        return self._clips

    def _first(self, speakers: Sequence[str]) -> list[int]:
        """The first piece in which each of them spoke, if he did, in the order of the script."""
        heard = (next((n for n in self._said if who in self.pieces[n].speakers), None) for who in speakers)
        return sorted({number for number in heard if number is not None})

    def _fits(self, before: Said, piece: Piece) -> bool:
        size, config = len(dialogue.encode(piece.text)), self._speaker.config
        read = len(dialogue.encode(before.text)) if before.text else 0
        free = config.room(len(before.codes))
        return read + size <= config.encoder.max_position_embeddings and size / SLOW * self._rate <= free

    def _silence(self, seconds: float) -> Iterator[np.ndarray]:
        samples = round(seconds * self.sample_rate)
        self._samples += samples
        if samples:
            yield np.zeros(samples, np.float32)


def _cues(piece: Piece, start: float, end: float) -> Iterator[Cue]:
    whole, at = sum(len(part.text) for part in piece.parts), start
    for part in piece.parts:
        until = at + (end - start) * len(part.text) / whole
        yield Cue(at, until, part.speaker, part.text)
        at = until


def _positive(max_seconds: float) -> float:
    if not max_seconds > 0:
        raise UserError(f"max-seconds is {max_seconds:g}: choose more than 0.")
    return max_seconds
