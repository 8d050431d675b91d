"""A take of a text, judged before it is heard: by how it ended, how long it is, and where in its text the model looked.

Of 64 sentences and 48 with a clip that the embedded model said, and its recogniser read back, the length alone told 21 of
the 38 with half of their words wrong or more, and none of the others; of 32 single words, 29 of the 31 that were lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rosella import dialogue

if TYPE_CHECKING:
    from rosella.inference.reading import Followed

TRIES = 3
"""So often a text is said, as long as every take of it has a fault."""
OTHER = 1_000_003
"""From one seed of a text to the next that is tried."""

USUAL, SLOWEST, FASTEST = 15.0, 10.0, 20.0
"""Bytes that a second of speech says where no clip shows it, and the least and most that a clip can show."""
EDGES = 0.25
"""Seconds of what is no speech, in a take as in a clip."""
SHORT, LONG = 0.6, 1.55
"""Times as long as usual, beyond which a take lacks words, or has others than the text's."""
READ, FOLLOWED = 0.9, 0.3
"""Of a good take, so much of the text is read, and so much of what the model looks at is on its path through it."""


class Take(NamedTuple):
    """Codes uint16 [frames, codebooks] that a model made of a text, and whether it ended by itself."""

    codes: np.ndarray
    stopped: bool


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a take, and how good it is: the better of two has the higher score.

    Faults are `silent`, `endless`, `short`, `long`, `cut off` and `lost`.
    """

    faults: frozenset[str]
    score: float


Making = Callable[[Sequence[tuple[int, int]]], list[Take]]
"""Takes of texts by their numbers, each with how far its seed is from the first."""
Judging = Callable[[int, Take], Verdict]
"""What is to be said of a take of a text by its number."""

SILENT = Verdict(frozenset({"silent"}), -math.inf)


def pace_of(text: str, seconds: float) -> float:
    """Bytes a second that the voice of a clip with this transcript is expected to say; the usual for an empty one."""
    if not text:
        return USUAL
    return min(max(_size(text) / max(seconds - EDGES, EDGES), SLOWEST), FASTEST)


def judge(
    take: Take,
    text: str,
    pace: float,
    frame_rate: float,
    follow: Callable[[], Followed],
    most: int | None = None,
) -> Verdict:
    """Of a text with its tags; `follow` reads the take along with it, and is asked only where something was said.

    Where no more than `most` frames were wanted, to end there is no fault.
    """
    if not len(take.codes):
        return SILENT
    followed, size = follow(), _size(text)
    length = len(take.codes) / frame_rate / (size / pace + EDGES)
    read, sure = (int(followed.places[-1]) + 1) / size, float(followed.shares.mean())
    signs = {
        "endless": not take.stopped,
        "short": length < SHORT,
        "long": length > LONG,
        "cut off": read < READ,
        "lost": sure < FOLLOWED,
    }
    if most is not None and len(take.codes) >= most:
        signs |= dict.fromkeys(("endless", "short", "cut off"), False)
    return Verdict(
        frozenset(name for name, seen in signs.items() if seen), sure * read - abs(math.log(length))
    )


def best_takes(texts: int, made: Making, judged: Judging, tries: int, best_of: int) -> list[Take]:
    """The best take of each of so many texts; those with a fault are made anew, all together."""
    best, left = {}, range(texts)
    for attempt in range(tries):
        seeds = [OTHER * (attempt * best_of + number) for number in range(best_of)]
        asked = [(number, number + of) for number in left for of in seeds]
        for (number, _), take in zip(asked, made(asked), strict=True):
            found = judged(number, take), take
            best[number] = max(best.get(number, found), found, key=lambda one: one[0].score)
        left = [number for number in left if best[number][0].faults]
        if not left:
            break
    return [best[number][1] for number in range(texts)]


def _size(text: str) -> int:
    return len(dialogue.encode(text))
