"""When each word of a piece is said: where the model looked in its text, and where there is sound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rosella import dialogue
from rosella.speak.clips import Said
from rosella.speak.script import Piece
from rosella.speak.subtitles import Cue

if TYPE_CHECKING:
    from rosella.inference.reading import Followed

SURE = 0.3
"""Where less of what the model looks at is on its path through the text, it was not followed."""
SHOWN = 6.0
"""Seconds of a turn that show a voice."""
SILENT = 30.0
"""Frames so many dB below the loudest one are silent."""


_WORD = re.compile(r"[(（][^()（）]*[)）]\S*|\S+")
"""An event such as `(clears throat)` is one."""


@dataclass(frozen=True)
class Heard:
    """A piece as it was said from `start_s` on: its codes [frames, codebooks] and the `powers` of its frames."""

    piece: Piece
    start_s: float
    codes: np.ndarray
    powers: np.ndarray

    def words(self, followed: Followed, frame_rate: float) -> list[list[Cue]]:
        """The words of each part, with the silence in front of one or behind it left out.

        Where the model was not followed, each has its share of the time by its bytes.
        """
        edges = self._edges(followed)
        if edges is None:
            size = len(dialogue.encode(self.piece.text))
            edges = np.linspace(0, len(self.codes), size + 1).round().astype(int)
        sounding = np.flatnonzero(self.powers > self.powers.max() - SILENT)

        def cue(speaker: str, first: int, last: int, text: str) -> Cue:
            begins, ends = _span(edges[first], edges[last], sounding)
            return Cue(self.start_s + begins / frame_rate, self.start_s + ends / frame_rate, speaker, text)

        parts = zip(self.piece.parts, _places(self.piece), strict=True)
        return [[cue(part.speaker, *word) for word in words] for part, words in parts]

    def turns(self, followed: Followed, frame_rate: float) -> list[Said]:
        """Each turn that was said, some seconds of it at most; all of the piece as one where the model was not followed."""
        edges, ids = self._edges(followed), dialogue.encode(self.piece.text)
        if edges is None:
            return [Said(self.piece.text, self.codes)]
        turns = []
        for part, words in zip(self.piece.parts, _places(self.piece), strict=True):
            said = [(first, last) for first, last, _ in words if edges[first] < len(self.codes)]
            if not said:
                break
            begin, most = edges[said[0][0]], round(SHOWN * frame_rate)
            *_, (_, end) = [word for word in said if edges[word[1]] - begin <= most] or said
            text = f"[{part.speaker}] {dialogue.decode(ids[said[0][0] : end])}"
            turns.append(Said(text, self.codes[begin : edges[end]]))
        return turns

    def _edges(self, followed: Followed) -> np.ndarray | None:
        """The frame at which each byte of the text begins, and the last ends; None where the model was not followed."""
        if np.mean(followed.shares) < SURE:
            return None
        return np.searchsorted(followed.places, np.arange(len(dialogue.encode(self.piece.text)) + 1))


def powers(wave: np.ndarray, hop: int) -> np.ndarray:
    """The power of each frame of a waveform [samples], in dB, float32 [frames]."""
    return 10 * np.log10(np.mean(np.square(wave.reshape(-1, hop)), axis=1) + 1e-12)


def _span(first: int, last: int, sounding: np.ndarray) -> tuple[int, int]:
    """The frames from the first to the last one with sound; all of them where there is none."""
    within = sounding[np.searchsorted(sounding, first) : np.searchsorted(sounding, last)]
    return (int(within[0]), int(within[-1]) + 1) if len(within) else (int(first), int(last))


def _places(piece: Piece) -> Iterator[list[tuple[int, int, str]]]:
    """The words of each part with the bytes at which they stand in the piece's encoded text, first and behind the last."""
    at, speaker = 0, ""
    for part in piece.parts:
        at += 2 * (part.speaker != speaker)  # its tag is one byte, before a space
        words = (
            (at + len(part.text[: found.start()].encode()), found[0]) for found in _WORD.finditer(part.text)
        )
        yield [(first, first + len(word.encode()), word) for first, word in words]
        at, speaker = at + len(part.text.encode()) + 1, part.speaker
