"""A script that is still being written: its pieces, each as soon as nothing that follows can change it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rosella import dialogue
from rosella.speak.breaks import Break
from rosella.speak.script import SHORT, Piece, Word, belongs, pieces_of, without_pauses, words_of

_OPEN = re.compile(r"[(（\[][^()（）\[\]]{0,80}\Z")
"""What may become an event, a pause or a tag."""


def pieces_written(fragments: Iterable[str], limit: int) -> Iterator[Piece]:
    """The pieces of a script that comes in fragments of any size; none encodes to more than `limit` bytes.

    All sentences and turns that are known to be complete are divided as `split` divides a script, once together they are
    long enough to be said well. Raises UserError as `read_script` and `split` do, when it comes to what is wrong.
    """
    script = _Written(limit)
    for fragment in fragments:
        yield from script.add(fragment)
    yield from script.finish()


class _Written:
    """What of a script was written and not yet handed out, and where in the script it stands."""

    def __init__(self, limit: int) -> None:
        self._limit, self._text, self._at = limit, "", 0
        self._speaker, self._turn = "S1", 0
        self._begun = False

    def add(self, fragment: str) -> list[Piece]:
        """The pieces that are settled with it."""
        self._text += fragment
        opened = _OPEN.search(self._text)
        words, pause = self._words(self._text[: opened.start()] if opened else self._text)
        known = words[:-1]  # the last may go on
        settled = _settled(known)
        if settled:
            return self._release(words, settled, pieces_of(words[:settled], self._limit), pause)
        if _size(known) <= self._limit:
            return []
        *pieces, rest = pieces_of(known, self._limit)
        begun = _first(known, rest)
        # Punctuation stays with its word: a pause between them in the text would be lost.
        while pieces and belongs(known[begun], known[begun - 1]):
            begun = _first(known, pieces.pop())
        return self._release(words, begun, pieces, pause)

    def finish(self) -> list[Piece]:
        """Those that are left."""
        words, pause = self._words(self._text)
        if words:
            return self._release(words, len(words), pieces_of(words, self._limit), pause)
        if not self._begun:
            dialogue.normalise(self._text)
        return []

    def _words(self, text: str) -> tuple[list[Word], float]:
        dialogue.normalise(f"{without_pauses(text)} .")  # there may be nothing to say yet
        return words_of(text, self._speaker, self._turn)

    def _release(self, words: Sequence[Word], count: int, pieces: list[Piece], pause: float) -> list[Piece]:
        """Hand out pieces, which are the first `count` words."""
        if not pieces:
            return []
        pieces = [_moved(piece, self._at) for piece in pieces]
        if not self._begun:
            pieces[0] = replace(pieces[0], pause_before=pause)
        end = len(self._text)
        if count < len(words):
            end, self._speaker, self._turn = words[count].start, words[count].speaker, words[count].turn
        self._text, self._at, self._begun = self._text[end:], self._at + end, True
        return pieces


def _settled(known: Sequence[Word]) -> int:
    """How many of these words may be said: up to a pause, a sentence or a turn with a whole word behind it."""
    settled, size = 0, 0
    for number, word in enumerate(known[:-1], 1):
        size += _size([word])
        if word.pause or (word.after >= Break.SENTENCE and size >= SHORT):
            settled = number
        if word.pause:
            size = 0
    return settled


def _first(words: Sequence[Word], piece: Piece) -> int:
    """The place of a piece's first word among the words."""
    return next(n for n, word in enumerate(words) if word.start == piece.parts[0].start)


def _size(words: Sequence[Word]) -> int:
    """Bytes of words with a space each."""
    return sum(len(word.text.encode()) + 1 for word in words)


def _moved(piece: Piece, by: int) -> Piece:
    parts = (replace(part, start=part.start + by, end=part.end + by) for part in piece.parts)
    return replace(piece, parts=tuple(parts))
