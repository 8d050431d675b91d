"""A script of any length, spoken piece after piece, each in the voices of those before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rosella import dialogue
from rosella.audio.tempo import Tempo
from rosella.codec.streaming import StreamDecoder
from rosella.errors import UserError
from rosella.speak.clips import Start, bytes_after, room_after
from rosella.speak.past import Past
from rosella.speak.script import Piece, read_script, split
from rosella.speak.subtitles import Cue
from rosella.speak.takes import OTHER, SILENT, TRIES, Take, Verdict, judge, pace_of
from rosella.speak.timing import Heard, powers
from rosella.speak.writing import pieces_written

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.inference.layout import Generation, Prompt
    from rosella.inference.reading import Followed
    from rosella.inference.settings import Sampling
    from rosella.model.config import DiaConfig
    from rosella.speak.voices import Voices

LONGEST_SECONDS = 30.0
"""Of what a model says at once, unless more is asked for."""
FIRST, LATER = 0.1, 0.2
"""Seconds of the pieces that a stream comes in."""
SLOW = 12.0
"""Bytes of text that a second of slow speech says: by them a piece is told how long it may be."""


class UnderWay(Protocol):
    """A generation of one text, of which more is known with every step; `inference.generate.Running` is one."""

    @property
    def finished(self) -> bool: ...
    def advance(self, steps: int) -> None: ...
    def so_far(self) -> Generation: ...


class Speaking(Protocol):
    """What begins a generation: the part of a `Speaker` that a recital needs."""

    codec: Codec
    config: DiaConfig

    def begin(
        self, ids: np.ndarray, prompt: Prompt | None, frames: int, seed: int, sampling: Sampling
    ) -> UnderWay: ...

    def follow(self, ids: np.ndarray, codes: np.ndarray) -> Followed: ...


Rows = Callable[[np.ndarray, "Prompt | None", int, Sequence[int], "Sampling"], UnderWay]
"""Begins several takes of one text at once, a row for each seed."""


class Recital:
    """Iterate over it to hear it, once: float32 [samples] each time.

    `cues`, `words`, `said`, `frames`, `bytes_read` and `stopped` tell of what was said so far.
    """

    def __init__(
        self,
        speaker: Speaking,
        text: str | Iterable[str],
        voice: Voices | Past | None,
        seed: int,
        max_seconds: float | None,
        sampling: Sampling,
        pace: float = 1.0,
        rows: Rows | None = None,
        best_of: int = 1,
    ) -> None:
        """Raises UserError for what the speaker cannot say; see `Speaker.stream`.

        With `rows`, which begins several takes at once, every piece is judged before it is heard, the best of so many.
        """
        self._speaker, self._seed, self._sampling = speaker, seed, sampling
        self._rate, self.sample_rate = speaker.codec.frame_rate, speaker.codec.sample_rate
        self._rows, self._best_of = rows, best_of
        self._first: float | None = None  # when something was first heard
        self._busy, self._made = 0.0, 0  # seconds that so many frames took, and their judging
        self._pace, self._tempo = pace, Tempo(pace, self.sample_rate)
        self._left = None if max_seconds is None else max(1, math.floor(_positive(max_seconds) * self._rate))
        self._past, self._shown = Past.of(voice, speaker.codec), 0  # after so many pieces
        self.bytes_read, self.frames = 0, 0
        """Bytes of text that were read, and frames that were said."""
        self._samples = 0
        self._heard: list[Heard] = []
        self._words: list[list[Cue]] = []  # of the turns of those that were asked for
        self._told = 0
        self._along: dict[int, Followed] = {}
        self.stopped = True
        """Whether every piece ended by itself."""
        self._pieces = self._read(text)

    def __iter__(self) -> Iterator[np.ndarray]:
        for wave in self._spoken():
            if len(heard := self._tempo.push(wave)):
                yield heard
        if len(rest := self._tempo.finish()):
            yield rest

    def _spoken(self) -> Iterator[np.ndarray]:
        """All of it at the model's own pace, in which a pause has the length that is left of it in the end."""
        for number, piece in enumerate(self._pieces):
            yield from self._silence(piece.pause_before)
            if self._left == 0:
                self.stopped = False
                return
            yield from self._say(piece, self._seed + number)
            yield from self._silence(piece.pause_after)

    @property
    def said(self) -> Past:
        """What another speech may go on from, as its voice; the turns of who is new are found when this is asked for."""
        for number, heard in enumerate(self._heard[self._shown :], self._shown):
            if {f"[{speaker}]" for speaker in heard.piece.speakers} - self._past.known:
                self._past = self._past.after(heard.turns(self._follow(number), self._rate))
            self._shown = number + 1
        return self._past

    @property
    def words(self) -> list[Cue]:
        """Each word of what was said with its times; what is new is followed through its text when this is asked for."""
        return [word for turn in self._turns() for word in turn]

    @property
    def cues(self) -> list[Cue]:
        """Each turn of each piece, from its first to its last word."""
        texts = [part.text for heard in self._heard for part in heard.piece.parts]
        turns = zip(self._turns(), texts, strict=True)
        return [
            Cue(words[0].start_s, words[-1].end_s, words[0].speaker, text, tuple(words))
            for words, text in turns
        ]

    @property
    def seams(self) -> list[float]:
        """Where pieces follow others, in seconds."""
        return [heard.start_s for heard in self._heard[1:]]

    def _turns(self) -> list[list[Cue]]:
        for number, heard in enumerate(self._heard[self._told :], self._told):
            self._words += heard.words(self._follow(number), self._rate * self._pace)
            self._told += 1
        return self._words

    def _follow(self, number: int) -> Followed:
        """Where in its text each frame of a piece is; the model is asked once."""
        if number not in self._along:
            heard = self._heard[number]
            self._along[number] = self._speaker.follow(dialogue.encode(heard.piece.text), heard.codes)
        return self._along[number]

    def _read(self, text: str | Iterable[str]) -> Iterator[Piece]:
        """The pieces of a text. One that is whole is read at once, and refused at once."""
        budget = self._budget()
        several = max(budget // 2, 16)  # what came before them is to have room too
        if not isinstance(text, str):
            return pieces_written(self._counted(text), several)
        script = read_script(text)
        self.bytes_read = len(text.encode())
        pieces = split(script, several if self.said.given < len(self.said.shown) else budget)
        return iter(pieces if len(pieces) == 1 else split(script, several))

    def _counted(self, fragments: Iterable[str]) -> Iterator[str]:
        for fragment in fragments:
            self.bytes_read += len(fragment.encode(errors="replace"))
            yield fragment

    def _budget(self) -> int:
        """Bytes of text that the model can say at once behind the clips."""
        clips = self.said.clips
        free = room_after(len(clips.codes), self._speaker.config, self._rate)
        read = bytes_after(clips.text, self._speaker.config.encoder.max_position_embeddings)
        return min(read, math.floor(min(free / self._rate, LONGEST_SECONDS) * SLOW))

    def _say(self, piece: Piece, seed: int) -> Iterator[np.ndarray]:
        begun, hop = self._samples, self._speaker.codec.hop
        said, loud = list[np.ndarray](), list[np.ndarray]()
        known = self._rows is not None or self._has_time(piece)
        for wave in self._waves(_kept(self._judged(piece, seed) if known else self._live(piece, seed), said)):
            self._first = self._first or monotonic()
            self._samples += len(wave)
            self.frames += len(wave) // hop
            loud.append(powers(wave, hop))
            yield wave
        if not said:
            return
        codes = np.concatenate(said)
        if self._left is not None:
            self._left = max(self._left - len(codes), 0)
        start_s = begun / self.sample_rate / self._pace
        self._heard.append(Heard(piece, start_s, codes, np.concatenate(loud)))

    def _live(self, piece: Piece, seed: int) -> Iterator[np.ndarray]:
        """Codes as they are known. What ends before it says anything is said again, at last as if it were the first."""
        for number in range(TRIES):
            running, known = self._begin(self._start(piece, number), seed + number * OTHER), 0
            for codes in self._run(running):
                yield codes
                known += len(codes)
            if known:
                self.stopped &= bool(running.so_far().stopped[0])
                return
        self.stopped = False

    def _judged(self, piece: Piece, seed: int) -> Iterator[np.ndarray]:
        """All codes at once: of those that were made until one had no fault, or there was no more time, the best."""
        best, verdict = Take(np.zeros((0, 0), np.uint16), False), SILENT
        for number in range(TRIES):
            start = self._start(piece, number if verdict is SILENT else 0)
            first = seed + number * self._best_of * OTHER
            seeds = range(first, first + self._best_of * OTHER, OTHER)
            for take in self._takes(start, seeds):
                found = self._judge(start, take)
                if found.score > verdict.score:
                    best, verdict = take, found
            if not verdict.faults or (self._rows is None and not self._has_time(piece)):
                break
        self.stopped &= best.stopped
        if len(best.codes):
            yield best.codes

    def _start(self, piece: Piece, silent: int) -> Start:
        """What a piece goes on from once it has stayed silent so often: the voices it is said in, if there is room."""
        start = self.said.before(piece.text)
        if silent == TRIES - 1 or not self._fits(start):
            return self.said.before(piece.text, given=True)
        return start

    def _takes(self, start: Start, seeds: Sequence[int]) -> list[Take]:
        running = self._begin(start, *seeds)
        for _ in self._run(running):
            pass
        made = running.so_far()
        return [Take(codes, bool(stopped)) for codes, stopped in zip(made.codes, made.stopped, strict=True)]

    def _judge(self, start: Start, take: Take) -> Verdict:
        before, text = start
        pace, ids = pace_of(before.text, len(before.codes) / self._rate), dialogue.encode(text)
        began = monotonic()
        verdict = judge(
            take, text, pace, self._rate, lambda: self._speaker.follow(ids, take.codes), self._left
        )
        self._busy += monotonic() - began
        return verdict

    def _has_time(self, piece: Piece) -> bool:
        """Whether a piece can be made twice before it must be heard, if that goes as fast as so far."""
        if self._first is None:
            return False
        ahead = self._samples / self.sample_rate / self._pace - (monotonic() - self._first)
        frames = len(dialogue.encode(piece.text)) / SLOW * self._rate
        return ahead > 2 * frames * self._busy / max(self._made, 1)

    def _run(self, running: UnderWay) -> Iterator[np.ndarray]:
        """The codes of its first row as they are known; those of pieces that a stream comes in."""
        first, later = (max(1, round(seconds * self._rate)) for seconds in (FIRST, LATER))
        first = max(first, self._sampling.at_once)  # while a block is heard the next is made
        context = self._speaker.codec.context
        steps, known, finished = self._speaker.config.longest_delay + context + first, 0, False
        while not finished:
            began = monotonic()
            running.advance(steps)
            finished = running.finished  # asked first: another thread may take the last steps meanwhile
            codes = running.so_far().codes[0][known:]
            self._busy += monotonic() - began
            self._made, known = self._made + len(codes), known + len(codes)
            steps = min(later, max(known - context, first))  # no longer than what is heard meanwhile
            if len(codes):
                yield codes

    def _begin(self, start: Start, *seeds: int) -> UnderWay:
        speaker = self._speaker
        ids = start.ids(speaker.config.encoder.max_position_embeddings)
        room = room_after(len(start.before.codes), speaker.config, self._rate)
        most = math.ceil(LONGEST_SECONDS * self._rate) if self._left is None else self._left
        if self._rows is None:
            return speaker.begin(ids, start.prompt, min(room, most), seeds[0], self._sampling)
        return self._rows(ids, start.prompt, min(room, most), seeds, self._sampling)

    def _waves(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        decoder = StreamDecoder(self._speaker.codec)
        for codes in chunks:
            if len(wave := decoder.push(codes)):
                yield wave
        if len(rest := decoder.finish()):
            yield rest

    def _fits(self, start: Start) -> bool:
        config, seconds = self._speaker.config, len(dialogue.encode(start.text)) / SLOW
        reads = len(dialogue.encode(start.seen)) <= config.encoder.max_position_embeddings
        return reads and seconds * self._rate <= config.room(len(start.before.codes))

    def _silence(self, seconds: float) -> Iterator[np.ndarray]:
        samples = round(seconds * self._pace * self.sample_rate)
        self._samples += samples
        if samples:
            yield np.zeros(samples, np.float32)


def _kept(chunks: Iterable[np.ndarray], into: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The same, each also put into a list."""
    for chunk in chunks:
        into.append(chunk)
        yield chunk


def _positive(max_seconds: float) -> float:
    if not max_seconds > 0:
        raise UserError(f"max-seconds is {max_seconds:g}: choose more than 0.")
    return max_seconds
