"""Generations that join one batch and leave it again while it takes its steps, whichever framework computes it.

A row draws by its own seed and is at a step of its own, so that what it says does not depend on who is beside it.

Axes: B places, S text bytes, C codebooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np

from rosella.inference.layout import Generation, Prompt, codes_of, no_prompt, require_room
from rosella.model.config import DiaConfig

CHUNK = 8
"""Steps between two moments at which rows may join and leave, at least."""

Places = TypeVar("Places")
"""What a framework keeps of the rows at all places."""


class Seat:
    """One generation at a table, until it has `finished`."""

    def __init__(self, config: DiaConfig, text_bytes: int, prompt: Prompt, limit: int) -> None:
        self._config, self._prompt, self._limit = config, prompt, limit
        self._rows = [np.zeros((0, config.decoder.num_channels), np.int32)]
        self._stopped = False
        self.text_bytes, self.step, self.finished = text_bytes, 0, False

    def take(self, rows: np.ndarray, stopped: bool, finished: bool) -> None:
        """Sequence rows int32 [steps, C] that were written for it."""
        self._rows = [*self._rows, rows]  # anew, for who reads it in another thread
        self.step += len(rows)
        self._stopped, self.finished = stopped, finished

    def so_far(self) -> Generation:
        """The frames of which every codebook is known, as a batch of one."""
        tokens = np.concatenate(self._rows)
        codes = codes_of(tokens, self._prompt, self._config)[: self._limit]
        return Generation([codes], np.array([self._stopped]), tokens[None])


class Table(ABC, Generic[Places]):
    """A batch of at most `places` rows; as many are computed as sit there, rounded up to a doubling."""

    def __init__(self, config: DiaConfig, places: int, chunk: int = CHUNK) -> None:
        """`chunk` is the number of steps that `advance` takes."""
        self.places, self.chunk, self._config = places, chunk, config
        self._taken: Places | None = None
        self._seats: list[Seat | None] = []

    @property
    def seats(self) -> list[Seat]:
        """Those who sit there."""
        return [seat for seat in self._seats if seat is not None]

    def join(self, ids: np.ndarray, prompt: Prompt | None, frames: int, seed: int) -> Seat:
        """Begin a text, byte ids int32 [S], behind a prompt; UserError where the model has no room for it.

        There must be a free place.
        """
        prompt = prompt or no_prompt(self._config)
        require_room(self._config, len(ids), np.array([frames]), [prompt])
        newcomer = self._begun(ids, prompt, frames, seed)
        seat = Seat(self._config, len(ids), prompt, frames)
        self._sit(seat, newcomer)
        return seat

    def advance(self) -> None:
        """Take a chunk of steps for all who sit there; those who have finished leave."""
        if self._taken is None:
            return
        self._move_together()
        idle = np.array([seat is None for seat in self._seats])
        self._taken, written, unfinished, stopped = self._advanced(self._taken, idle)
        for place, seat in enumerate(self._seats):
            if seat is not None:
                seat.take(written[place], bool(stopped[place]), not unfinished[place])
                if seat.finished:
                    self.leave(seat)

    def leave(self, seat: Seat) -> None:
        """Free the place of one who sits there; of anybody else nothing."""
        self._seats = [None if each is seat else each for each in self._seats]
        if not self.seats:
            self._seats, self._taken = [], None

    @abstractmethod
    def _begun(self, ids: np.ndarray, prompt: Prompt, frames: int, seed: int) -> Places:
        """One row before its first step."""

    @abstractmethod
    def _seated(self, taken: Places, newcomer: Places, place: int) -> Places:
        """With a newcomer's row at a place."""

    @abstractmethod
    def _picked(self, taken: Places, picks: np.ndarray) -> Places:
        """Other places [B], each with the row that it picks of these."""

    @abstractmethod
    def _advanced(self, taken: Places, idle: np.ndarray) -> tuple[Places, np.ndarray, np.ndarray, np.ndarray]:
        """After a chunk of steps: rows written int32 [B, steps, C], which rows are unfinished, which stopped [B].

        Nobody sits at places that are `idle` [B].
        """

    def _sit(self, seat: Seat, newcomer: Places) -> None:
        if self._taken is None:
            self._taken, self._seats = newcomer, [seat]
            return
        if None not in self._seats:
            self._resize(self._taken, min(2 * len(self._seats), self.places))
        place = self._seats.index(None)
        self._taken = self._seated(self._taken, newcomer, place)
        self._seats[place] = seat

    def _move_together(self) -> None:
        """Half of the places at most stand empty."""
        half = (len(self._seats) + 1) // 2
        if self._taken is not None and len(self._seats) > 1 and len(self.seats) <= half:
            self._resize(self._taken, half)

    def _resize(self, taken: Places, places: int) -> None:
        kept = [place for place, seat in enumerate(self._seats) if seat is not None]
        self._taken = self._picked(taken, np.array((kept + [0] * places)[:places]))
        self._seats = (self.seats + [None] * places)[:places]
