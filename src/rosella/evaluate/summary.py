"""From the scores of clips to the numbers of a model, each with an interval over sentences and seeds.

Axes: K seeds, S sentences, R resamples, N clips.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rosella.measures import SPEECH

LOST = 0.5
"""A clip with more than this share of its words wrong, missing or too many is lost."""
RESAMPLES = 1000
Interval = tuple[float, float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClipScore:
    """One generated sentence. `rank` 1 of `candidates`: its own reference was the nearest.

    Seconds are from the first sound to the last: references may be cut closer than what a model learnt from.
    """

    id: str
    speaker: str
    language: str
    text: str
    rank: int
    candidates: int
    stopped: bool
    seconds: float
    reference_seconds: float
    pitch_semitones: float | None
    spectrum_db: float
    heard: str | None = None
    """What a recogniser read back."""
    word_edits: int | None = None
    """Words that it has wrong, missing or too many, of so many `words`."""
    words: int | None = None
    similarity: float | None = None
    """Of the voice to the one shown."""
    voice_right: bool | None = None
    """Whether it is nearer to the speaker's own clip than to those of the other speakers."""
    turns_right: float | None = None


def statistics(clips: Sequence[ClipScore]) -> dict[str, float]:
    """The measures of clips by their keys in `measures.SPEECH`; nan where there was nothing to measure."""
    return {key: float(value) for key, value in _statistics(_columns(clips)).items()}


def intervals(clips: Sequence[ClipScore], seeds: int = 1) -> dict[str, Interval]:
    """The bootstrap's 95 % interval of each statistic: sentences are drawn anew, and for each the seeds.

    `clips` holds all sentences of the first seed, then those of the next. What could not be measured has none.
    """
    return _within(_statistics(_drawn(clips, seeds, np.random.default_rng(0))))


def gains(
    before: Sequence[ClipScore], after: Sequence[ClipScore], seeds: tuple[int, int] = (1, 1)
) -> dict[str, Interval]:
    """The bootstrap's 95 % interval of how much nearer to its ideal each statistic of the same sentences came."""
    was, now = (
        _statistics(_drawn(clips, number, np.random.default_rng(0)))
        for clips, number in zip((before, after), seeds, strict=True)
    )
    return _within({measure.key: measure.nearer(was[measure.key], now[measure.key]) for measure in SPEECH})


def _drawn(clips: Sequence[ClipScore], seeds: int, random: np.random.Generator) -> dict[str, Values]:
    """Columns [R, N] of resampled clips; the sentences are drawn first, so a generator draws the same for other clips."""
    count = len(clips) // seeds
    rows = random.integers(count, size=(RESAMPLES, count, 1))
    drawn = random.integers(seeds, size=(RESAMPLES, count, seeds)) * count + rows
    return {key: values[drawn.reshape(RESAMPLES, -1)] for key, values in _columns(clips).items()}


def _within(statistics: Mapping[str, Values]) -> dict[str, Interval]:
    """The middle 95 % of resamples [R]; what could not be measured is left out."""
    found: dict[str, Interval] = {}
    for key, values in statistics.items():
        known = values[np.isfinite(values)]
        if len(known):
            low, high = np.percentile(known, (2.5, 97.5))
            found[key] = float(low), float(high)
    return found


def _columns(clips: Sequence[ClipScore]) -> dict[str, Values]:
    """What is known of each clip, float64 [N]; nan for what is not."""

    def column(*values: float | None) -> Values:
        return np.array([math.nan if value is None else value for value in values], np.float64)

    return {
        "found": column(*(clip.rank == 1 for clip in clips)),
        "edits": column(*(clip.word_edits for clip in clips)),
        "words": column(*(clip.words for clip in clips)),
        "stopped": column(*(clip.stopped for clip in clips)),
        "ratio": column(*(clip.seconds / (clip.reference_seconds or math.nan) for clip in clips)),
        "pitch": column(*(clip.pitch_semitones for clip in clips)),
        "spectrum": column(*(clip.spectrum_db for clip in clips)),
        "similarity": column(*(clip.similarity for clip in clips)),
        "voice": column(*(clip.voice_right for clip in clips)),
        "turns": column(*(clip.turns_right for clip in clips)),
    }


def _statistics(of: Mapping[str, Values]) -> dict[str, Values]:
    """Over the last axis, of clips or of resamples of clips."""
    edits, words = of["edits"], of["words"]
    lost = np.where(np.isnan(edits), np.nan, edits > LOST * words)
    kept = np.where(lost == 0, 1.0, np.nan)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing, the mean is nan
        return {
            "retrieval": np.nanmean(of["found"], -1),
            "wer": np.nansum(edits, -1) / np.nansum(words, -1),
            "wer_kept": np.nansum(edits * kept, -1) / np.nansum(words * kept, -1),
            "lost": np.nanmean(lost, -1),
            "stopped": np.nanmean(of["stopped"], -1),
            "similarity": np.nanmean(of["similarity"], -1),
            "voice_right": np.nanmean(of["voice"], -1),
            "turns_right": np.nanmean(of["turns"], -1),
            "length_ratio": np.nanmedian(of["ratio"], -1),
            "length_spread": np.nanmedian(np.abs(of["ratio"] - 1), -1),
            "pitch_semitones": np.nanmedian(of["pitch"], -1),
            "spectrum_db": np.nanmedian(of["spectrum"], -1),
        }
