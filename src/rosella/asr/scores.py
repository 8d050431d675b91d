"""How well transcripts match: word and character errors, fillers, stutters, speaker tags, events, hallucination.

Words are compared without case and punctuation. A speaker tag is a word of its own, and so is an event. All
counts are summed over examples before a rate is made of them, so that long examples weigh more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rosella import dialogue
from rosella.corpus.disfluencies import DOUBLED, events, fillers
from rosella.corpus.words import MARK, plain_words, words

REPEATS = 4
"""So many copies in a row of up to `LONGEST_REPEAT` words are a loop, unless the reference has it too."""

LONGEST_REPEAT = 6


@dataclass(frozen=True)
class Pair:
    """What was said and what a recogniser wrote; `language` tells which words are fillers."""

    reference: str
    hypothesis: str
    language: str | None = None


@dataclass
class Found:
    """How many of what was there were found, and how many of what was found were there."""

    there: int = 0
    written: int = 0
    hits: int = 0

    @property
    def recall(self) -> float | None:
        return self.hits / self.there if self.there else None

    @property
    def precision(self) -> float | None:
        return self.hits / self.written if self.written else None

    @property
    def f1(self) -> float | None:
        return 2 * self.hits / (self.there + self.written) if self.there + self.written else None

    def add(self, there: int, written: int, hits: int) -> None:
        self.there, self.written, self.hits = self.there + there, self.written + written, self.hits + hits


@dataclass
class Errors:
    """Edits and the length of the reference they are counted against."""

    edits: int = 0
    length: int = 0

    @property
    def rate(self) -> float | None:
        return self.edits / self.length if self.length else None

    def add(self, reference: Sequence[str] | str, hypothesis: Sequence[str] | str) -> None:
        self.edits, self.length = self.edits + _distance(reference, hypothesis), self.length + len(reference)


@dataclass
class Scores:
    """Sums over examples; see `summary` for the rates."""

    examples: int = 0
    words: Errors = field(default_factory=Errors)
    plain_words: Errors = field(default_factory=Errors)
    characters: Errors = field(default_factory=Errors)
    plain_characters: Errors = field(default_factory=Errors)
    spoken_by: Errors = field(default_factory=Errors)
    speakers_right: int = 0
    fillers: Found = field(default_factory=Found)
    stutters: Found = field(default_factory=Found)
    events: Found = field(default_factory=Found)
    loops: int = 0

    def summary(self) -> dict[str, float | int | None]:
        """Rates from 0 to 1 (error rates may exceed 1); None where nothing was there to count."""
        return {
            "examples": self.examples,
            "words": self.words.length,
            "wer": self.words.rate,
            "wer_plain": self.plain_words.rate,
            "cer": self.characters.rate,
            "cer_plain": self.plain_characters.rate,
            "cpwer": self.spoken_by.rate,
            "speaker_count_right": self.speakers_right / self.examples if self.examples else None,
            "filler_recall": self.fillers.recall,
            "filler_precision": self.fillers.precision,
            "stutter_recall": self.stutters.recall,
            "stutter_precision": self.stutters.precision,
            "event_f1": self.events.f1,
            "loops": self.loops,
        }


def score(pairs: Iterable[Pair]) -> Scores:
    """Score transcripts against what was said."""
    scores = Scores()
    for pair in pairs:
        _add(scores, pair)
    return scores


def word_errors(pair: Pair) -> Errors:
    """Word errors of one pair, tags and events included."""
    reference, hypothesis = words(pair.reference), words(pair.hypothesis)
    return Errors(_distance(reference, hypothesis), len(reference))


def loops(text: str) -> int:
    """How often a phrase is repeated on end: the mark of a recogniser that has lost its audio."""
    said, count, place = words(text), 0, 0
    while place < len(said):
        for length in range(1, LONGEST_REPEAT + 1):
            copies = 1
            while (
                said[place : place + length]
                == said[place + copies * length : place + (copies + 1) * length]
                != []
            ):
                copies += 1
            if copies >= REPEATS:
                count, place = count + 1, place + copies * length - 1
                break
        place += 1
    return count


def _add(scores: Scores, pair: Pair) -> None:
    reference, hypothesis = words(pair.reference), words(pair.hypothesis)
    plain_reference, plain_hypothesis = plain_words(pair.reference), plain_words(pair.hypothesis)
    scores.examples += 1
    scores.words.add(reference, hypothesis)
    scores.plain_words.add(plain_reference, plain_hypothesis)
    scores.characters.add(" ".join(reference), " ".join(hypothesis))
    scores.plain_characters.add(" ".join(plain_reference), " ".join(plain_hypothesis))
    _add_speakers(scores, pair)
    known = fillers(pair.language)
    _add_found(scores.fillers, reference, hypothesis, lambda said: [word in known for word in said])
    _add_found(scores.stutters, reference, hypothesis, stutters)
    there, written = Counter(events(pair.reference.casefold())), Counter(events(pair.hypothesis.casefold()))
    scores.events.add(there.total(), written.total(), (there & written).total())
    scores.loops += max(0, loops(pair.hypothesis) - loops(pair.reference))


def stutters(said: Sequence[str]) -> list[bool]:
    """Which words are broken off (`wa-`), or said again at once without being ones that are doubled on purpose."""
    following = [*said[1:], ""]
    return [
        word.endswith("-") or (word == after and word not in DOUBLED and not MARK.fullmatch(word))
        for word, after in zip(said, following, strict=False)
    ]


def _add_found(
    found: Found, reference: list[str], hypothesis: list[str], marks: Callable[[Sequence[str]], list[bool]]
) -> None:
    """Count marked words; one is found where the alignment pairs it with the same word, marked too."""
    there, written = marks(reference), marks(hypothesis)
    hits = sum(there[i] and written[j] for i, j in _matches(reference, hypothesis))
    found.add(sum(there), sum(written), hits)


def _matches(reference: list[str], hypothesis: list[str]) -> list[tuple[int, int]]:
    """Places of equal words in the least costly alignment."""
    from rapidfuzz.distance import Levenshtein

    return [
        (block.src_start + shift, block.dest_start + shift)
        for block in Levenshtein.opcodes(reference, hypothesis)
        if block.tag == "equal"
        for shift in range(block.src_end - block.src_start)
    ]


def by_speaker(text: str) -> list[list[str]]:
    """The words of each speaker, in order of appearance; words before any tag belong to the first."""
    tag, spoken = "", dict[str, list[str]]()
    for word in words(text):
        if word in dialogue.TAGS:
            tag = word
        else:
            spoken.setdefault(tag, []).append(word)
    return list(spoken.values())


def _add_speakers(scores: Scores, pair: Pair) -> None:
    """Concatenated minimum-permutation word errors (CHiME-6, Watanabe 2020)."""
    from scipy.optimize import linear_sum_assignment

    there, written = by_speaker(pair.reference), by_speaker(pair.hypothesis)
    scores.speakers_right += len(there) == len(written)
    size = max(len(there), len(written))
    there, written = (part + [[]] * (size - len(part)) for part in (there, written))
    costs = np.array([_distance(one, other) for one in there for other in written], int).reshape(size, size)
    scores.spoken_by.length += sum(map(len, there))
    scores.spoken_by.edits += int(costs[linear_sum_assignment(costs)].sum())


def _distance(reference: Sequence[str] | str, hypothesis: Sequence[str] | str) -> int:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(reference, hypothesis)
