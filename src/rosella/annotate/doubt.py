"""How many errors a draft is expected to have: what is odd about it, and a model of what that means.

The number of errors is Poisson's, its rate for a word exp(weights · features). Weights start from what is known of
recognisers and are fitted to all that people have corrected in the project.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.corpus.tagging import pieces
from rosella.corpus.words import plain_words, words
from rosella.records import LEAST_SURE, Turn, Utterance

FEATURES: tuple[str, ...] = (
    "always",
    "unsure",
    "given",
    "disagreement",
    "pace",
    "speakers",
    "short",
    "overlap",
)
PRIOR = np.array([-2.65, 1.45, -1.0, 1.5, 1.0, 0.7, 0.3, 0.4])
"""7 % of the words of a sure draft are wrong and 30 % at the bound `LEAST_SURE` (docs/asr.md); the others are guesses."""

SPREAD = np.array([1.0, 0.7, 1.0, 0.7, 0.7, 0.7, 0.4, 0.4])
DISPERSION = 3.0
"""Errors come in groups: their variance is so many times their mean."""

EMPTY = 0.3
"""Share of wrong words above which typing afresh is quicker than correcting (Gaur 2016)."""

MOST_UNSURE, ODDEST_PACE, USUAL_PACE = 3.0, 1.5, 0.3
SHORT, NEARBY, SHORT_TURNS = 0.6, 1.0, 3
NOTABLE = 0.2
"""What a feature must add to the logarithm of the rate to be told."""

_REASONS = {
    "unsure": "The recogniser was unsure of its words.",
    "disagreement": "The verbatim and the clean transcript differ by more than fillers and restarts.",
    "pace": "There are fewer or more words than so much speech should have.",
    "speakers": "The speakers of the text are not those that were heard to take turns.",
    "short": "There are very short turns.",
    "overlap": "Several people speak at once nearby.",
}


@dataclass(frozen=True)
class Doubt:
    """The weights of the features, and how many clips they were fitted to."""

    weights: np.ndarray = field(default_factory=PRIOR.copy)
    clips: int = 0

    def rates(self, features: np.ndarray) -> np.ndarray:
        """Expected errors for a word, at most 1: float[N] of features [N, F]."""
        return np.exp(np.minimum(features @ self.weights, 0.0))

    def reasons(self, features: np.ndarray) -> list[str]:
        """Why a clip is doubted, in sentences, the weightiest first."""
        parts = dict(zip(FEATURES, features * self.weights, strict=True))
        told = [name for name in _REASONS if parts[name] > NOTABLE]
        return [_REASONS[name] for name in sorted(told, key=lambda name: -parts[name])]


def fit(features: np.ndarray, length: np.ndarray, errors: np.ndarray) -> Doubt:
    """The likeliest weights given the errors [N] in drafts of so many words [N] and features [N, F]; Newton's method."""
    weights, precision = PRIOR.copy(), 1 / SPREAD**2
    for _ in range(20):
        expected = length * np.exp(np.minimum(features @ weights, 0.0))
        slope = features.T @ (errors - expected) / DISPERSION - precision * (weights - PRIOR)
        curve = (features * expected[:, None]).T @ features / DISPERSION + np.diag(precision)
        step = np.linalg.solve(curve, slope)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-6:
            break
    return Doubt(weights, len(errors))


def features(utterance: Utterance, turns: Sequence[Turn], usual_pace: float) -> np.ndarray:
    """float[F] of a draft. `turns` are the recording's, or those near; `usual_pace` is in characters a second."""
    inside = [turn for turn in turns if turn.end > utterance.start and turn.start < utterance.end]
    unsure = 0.0 if utterance.confidence is None else min(utterance.confidence / LEAST_SURE, MOST_UNSURE)
    odd = abs(np.log(max(pace(utterance), 0.1) / usual_pace)) - USUAL_PACE
    short = sum(turn.end - turn.start < SHORT for turn in inside) / SHORT_TURNS
    found = {
        "always": 1.0,
        "unsure": max(unsure, 0.0),
        "given": float(utterance.confidence is None),
        "disagreement": _disagreement(utterance),
        "pace": float(min(max(odd, 0.0), ODDEST_PACE)),
        "speakers": _speaker_doubt(utterance, [turn for turn in inside if not turn.overlap]),
        "short": min(short, 1.0),
        "overlap": float(any(_is_overlap_near(turn, utterance) for turn in turns)),
    }
    return np.array([round(found[name], 3) for name in FEATURES])


def pace(utterance: Utterance) -> float:
    """Characters a second."""
    return len(utterance.text) / max(utterance.end - utterance.start, 0.1)


def _disagreement(utterance: Utterance) -> float:
    """Word edits between the clean transcript and what rules make of the verbatim one, over the words of the longer."""
    from rapidfuzz.distance import Levenshtein

    if utterance.text_clean is None:
        return 0.0
    ruled = plain_words(remove_disfluencies(utterance.text, fillers(utterance.language)))
    clean = plain_words(utterance.text_clean)
    return Levenshtein.distance(ruled, clean) / max(len(ruled), len(clean), 1)


def _speaker_doubt(utterance: Utterance, turns: Sequence[Turn]) -> float:
    """From 0 to 1: how differently text and turns have the speakers change and share what is said."""
    if not turns:
        return 0.0
    said = pieces(utterance.text)
    written = len(list(groupby(said, lambda piece: piece[0])))
    heard = len(list(groupby(turns, lambda turn: turn.speaker)))
    shares = sorted(_shares((tag, len(text)) for tag, text in said), reverse=True)
    times = sorted(_shares((turn.speaker, turn.end - turn.start) for turn in turns), reverse=True)
    width = max(len(shares), len(times))
    apart = sum(abs(a - b) for a, b in zip(_padded(shares, width), _padded(times, width), strict=True)) / 2
    return min(1.0, apart + abs(written - heard) / max(written, heard))


def _shares(parts: Iterator[tuple[object, float]]) -> list[float]:
    sums: dict[object, float] = {}
    for who, much in parts:
        sums[who] = sums.get(who, 0.0) + much
    total = sum(sums.values()) or 1.0
    return [much / total for much in sums.values()]


def _padded(values: Sequence[float], width: int) -> list[float]:
    return [*values, *[0.0] * (width - len(values))]


def _is_overlap_near(turn: Turn, utterance: Utterance) -> bool:
    return turn.overlap and turn.end > utterance.start - NEARBY and turn.start < utterance.end + NEARBY


def length_in_words(text: str) -> int:
    """Words of a draft, tags and events included; one more, since what is missing is wrong too."""
    return len(words(text)) + 1
