"""A script, text of any length with speakers and pauses, and its pieces, which a model can speak one after the other."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.breaks import FULL_WIDTH, Break, breaks, is_marks, opens

LONGEST_PAUSE = 10.0

SHORT = 15
"""Bytes of about a second of speech: models garble pieces that are shorter."""

_COSTS = {Break.BOUND: 256.0, Break.WORD: 16.0, Break.CLAUSE: 4.0, Break.SENTENCE: 1.0, Break.TURN: 0.0}
_SHORT_COST = 64.0

_STAYING = frozenset("\u00a0\u2007\u202f")
"""Spaces at which no line may break."""
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n")

_SAID = r"[^\s()（）\[\]]++"
_EVENT = rf"[(（](?:{_SAID}\s){{0,3}}{_SAID}[)）]"
_PAUSE = r"\[\s*(?i:pause)\b[^\[\]\n]*\]?"
_TAG = "|".join(map(re.escape, dialogue.TAGS))
_LETTER = rf"(?!{_TAG}|{_PAUSE})[^\s{FULL_WIDTH}]"
_WORD = rf"(?=\S)(?>{_EVENT}|{_LETTER})*+(?:[{FULL_WIDTH}]++[」』】）〉》〕”’]*+)?+"
_TOKEN = re.compile(rf"(?P<pause>{_PAUSE})|(?P<tag>{_TAG})|(?P<word>{_WORD})")
_LENGTH = re.compile(r"\[pause:([0-9]+(?:\.[0-9]+)?)(ms|s)\]")


@dataclass(frozen=True)
class Word:
    """A word with its punctuation, or an event such as `(clears throat)`: what is never divided.

    It stands at `start` to `end` (characters) of the script's text, in turn number `turn` (from 0) of `speaker` (`S1`),
    behind a space if `spaced`; `pause` is the silence after it in seconds.
    """

    text: str
    start: int
    end: int
    turn: int
    speaker: str
    spaced: bool
    pause: float = 0.0
    after: Break = Break.WORD


@dataclass(frozen=True)
class Script:
    """What is to be said: the text as it was given, its words, and the silence before them in seconds."""

    text: str
    words: tuple[Word, ...]
    pause_before: float


@dataclass(frozen=True)
class Part:
    """What a piece holds of one turn: words without tag, and where they stand in the script's text (characters)."""

    turn: int
    speaker: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Piece:
    """What a model says at once, and the silence after it in seconds; before it only where it is a script's first."""

    parts: tuple[Part, ...]
    pause_after: float
    pause_before: float = 0.0

    @property
    def text(self) -> str:
        """For the model: it begins with a tag, and has another where the speaker changes."""
        tags = [f"[{self.parts[0].speaker}] "]
        for before, part in pairwise(self.parts):
            tags.append(f"[{part.speaker}] " if part.speaker != before.speaker else "")
        return " ".join(tag + part.text for tag, part in zip(tags, self.parts, strict=True))

    @property
    def speakers(self) -> tuple[str, ...]:
        """Each once, in the order in which they speak."""
        return tuple(dict.fromkeys(part.speaker for part in self.parts))


def read_script(text: str) -> Script:
    """A dialogue with tags `[S1]` ... `[S4]` and pauses `[pause:500ms]`, `[pause:1.5s]`.

    Every tag begins a turn; what stands before the first one says S1. Raises UserError for text that no model may see
    (`rosella.dialogue.normalise`) and for pauses that cannot be read or are longer than 10 s.
    """
    dialogue.normalise(without_pauses(text))
    words, pause_before = words_of(text)
    return Script(text, tuple(words), pause_before)


def without_pauses(text: str) -> str:
    """The text with a space for every pause."""
    return re.sub(_PAUSE, " ", text)


def words_of(text: str, speaker: str = "S1", turn: int = 0) -> tuple[list[Word], float]:
    """The words of a text, the first of which are said by this speaker in this turn, and the silence before them."""
    words: list[Word] = []
    pause_before = 0.0
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match[0]
        if kind == "pause" and words:
            words[-1] = replace(words[-1], pause=words[-1].pause + _seconds(found))
        elif kind == "pause":
            pause_before += _seconds(found)
        elif kind == "tag":
            speaker, turn = found.strip("[]"), words[-1].turn + 1 if words else turn
        else:
            said = unicodedata.normalize("NFC", " ".join(found.split()))
            spaced = not words or words[-1].end != match.start()
            _append(words, Word(said, *match.span(), turn, speaker, spaced))
    return _with_breaks(words, text), pause_before


def split(script: Script, limit: int) -> list[Piece]:
    """The script as pieces whose text encodes to at most `limit` bytes each.

    A piece ends at every pause, and else where the whole is best: at turns before sentences, clauses and words, in few
    pieces of like length, none of them too short to be said well. UserError for a word that is longer.
    """
    first, *others = pieces_of(script.words, limit)
    return [replace(first, pause_before=script.pause_before), *others]


def pieces_of(words: Sequence[Word], limit: int) -> list[Piece]:
    """These words as `split` divides them."""
    longest = max(words, key=_alone)
    if _alone(longest) > limit:
        raise UserError(
            f"The word that begins with {longest.text[:24]} has {_alone(longest)} bytes with its speaker tag, and the model "
            f"can say {limit} at once: put spaces into it."
        )
    pieces: list[Piece] = []
    group: list[Word] = []
    for word in words:
        group.append(word)
        if word.pause or word is words[-1]:
            pieces += [_piece(group[start:end]) for start, end in pairwise(_cuts(group, limit))]
            group = []
    return pieces


def belongs(word: Word, last: Word) -> bool:
    """Whether a word is punctuation of what was said before it."""
    return last.turn == word.turn and is_marks(word.text) and not opens(word.text)


def _append(words: list[Word], word: Word) -> None:
    """Adds a word. Punctuation after a pause is said before it."""
    last = words[-1] if words else word
    if last.pause and belongs(word, last):
        words[-1], word = replace(last, pause=0.0), replace(word, pause=last.pause)
    words.append(word)


def _seconds(pause: str) -> float:
    match = _LENGTH.fullmatch(pause)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
    if not 0 < seconds <= LONGEST_PAUSE:
        raise UserError(
            f"The pause {pause[:24].strip()} is not one of more than 0 and at most {LONGEST_PAUSE:g} s: "
            "write it as [pause:500ms] or [pause:1.5s]."
        )
    return seconds


def _with_breaks(words: Sequence[Word], text: str) -> list[Word]:
    """The words of a text, each with how well a piece may end after it."""
    capitals = any(word.text != word.text.lower() for word in words)
    turns = (list(turn) for _, turn in groupby(words, lambda word: word.turn))
    found = [each for turn in turns for each in breaks([word.text for word in turn], capitals)]
    for index, (word, following) in enumerate(pairwise(words)):
        between = text[word.end : following.start]
        if _EMPTY_LINE.search(between):
            found[index] = max(found[index], Break.SENTENCE)
        elif between and _STAYING.issuperset(between):
            found[index] = Break.BOUND
    return [replace(word, after=each) for word, each in zip(words, found, strict=True)]


def _cuts(words: Sequence[Word], limit: int) -> list[int]:
    """Where pieces of words without a pause begin and end: the cuts whose costs are least, all together."""
    alone = [_alone(word) for word in words]
    added = [
        size + (1 if word.speaker != before.speaker else word.spaced - 2)
        for size, before, word in zip(alone, [words[0], *words], words, strict=False)
    ]
    until = [0, *accumulate(added)]
    costs, best = [0.0], [0]
    for end in range(1, len(words) + 1):
        least, chosen = math.inf, 0
        for start in range(end - 1, -1, -1):
            size = alone[start] + until[end] - until[start + 1]
            if size > limit:
                break
            cost = costs[start] + (1 - size / limit) ** 2 + (_SHORT_COST if size < SHORT else 0)
            if cost < least:
                least, chosen = cost, start
        costs.append(least + (_COSTS[words[end - 1].after] if end < len(words) else 0))
        best.append(chosen)
    cuts = [len(words)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]])
    return cuts[::-1]


def _piece(words: Sequence[Word]) -> Piece:
    return Piece(
        tuple(_part(list(turn)) for _, turn in groupby(words, lambda word: word.turn)), words[-1].pause
    )


def _part(words: Sequence[Word]) -> Part:
    said = "".join(" " * word.spaced + word.text for word in words)
    return Part(words[0].turn, words[0].speaker, said.lstrip(" "), words[0].start, words[-1].end)


def _alone(word: Word) -> int:
    """Bytes of a word behind its tag, which is one, and a space."""
    return len(word.text.encode()) + 2
