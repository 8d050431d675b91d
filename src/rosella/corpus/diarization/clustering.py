"""How many voices there are, and which of them speaks at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

ALIKE = 0.70
"""Mean cosine similarity of the windows of two clusters above which they become one."""

SAME_VOICE = 0.84
"""Cosine similarity of two mean embeddings above which they are one voice. Both were tuned on synthetic dialogues."""

BOTH_AT_ONCE = 0.9
"""Cosine similarity to a sum of two larger voices above which a voice is those two, heard together or in one window.
Voices of their own reach 0.88 at most, in 2,140 triples of synthetic ones that
are not one voice by the bound before."""

LEAST_SECONDS = 2.0
"""A voice with less speech in ten minutes (stretches of a second or more) is taken for noise in the embeddings; what it
said goes to the nearest one."""

_AT_ONCE = 1500
"""Windows clustered together, ten minutes of speech: memory and time grow with the square."""

_SWITCH_IN_SPEECH, _SWITCH_IN_PAUSE = 1.0, 0.1
"""What a change of speaker costs, in units of similarity: people mostly hand over in a pause."""


def voices(embeddings: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Mean embeddings float32 `[K, D]` of unit length, of windows `[N, D]` that stand for `seconds` `[N]` each.

    Average linkage within ten minutes of speech, then the voices found there are merged over the whole recording
    and those dropped that are two others at once.
    """
    means, sizes = [], []
    for rows in np.array_split(np.arange(len(embeddings)), -(-len(embeddings) // _AT_ONCE) or 1):
        for members in _clusters(embeddings[rows].astype(np.float32), seconds[rows]):
            means.append(_unit(embeddings[rows[members]].astype(np.float32).mean(axis=0)))
            sizes.append(float(seconds[rows[members]].sum()))
    return _merged(means, sizes)


def _clusters(embeddings: np.ndarray, seconds: np.ndarray) -> Iterator[np.ndarray]:
    """Members of each cluster with enough speech; where none has, of the largest."""
    from scipy.cluster.hierarchy import fcluster, linkage

    labels = np.ones(len(embeddings), int)
    if len(embeddings) > 1:
        labels = fcluster(linkage(embeddings, "average", metric="cosine"), 1 - ALIKE, "distance")
    spoken = np.bincount(labels, seconds)
    for label in np.flatnonzero(spoken >= min(LEAST_SECONDS, spoken.max())):
        if label:
            yield np.flatnonzero(labels == label)


def _merged(means: list[np.ndarray], sizes: list[float]) -> np.ndarray:
    """The closest two become one until none are close enough."""
    while len(means) > 1:
        alike = np.stack(means) @ np.stack(means).T - 2 * np.eye(len(means))
        one, other = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[one, other] < SAME_VOICE:
            break
        means[one] = _unit(sizes[one] * means[one] + sizes[other] * means[other])
        sizes[one] += sizes[other]
        del means[other], sizes[other]
    return _without_mixtures(np.stack(means)[np.argsort(sizes)[::-1]])


def _without_mixtures(means: np.ndarray) -> np.ndarray:
    """Of voices `[K, D]`, the largest first, those that are no sum of two larger ones."""
    kept: list[np.ndarray] = []
    for mean in means:
        if not any(_in_sum(mean, np.stack(pair, axis=1)) > BOTH_AT_ONCE for pair in combinations(kept, 2)):
            kept.append(mean)
    return np.stack(kept)


def _in_sum(mean: np.ndarray, pair: np.ndarray) -> float:
    """Cosine similarity of `mean` `[D]` to the nearest sum, with positive weights, of the columns of `pair` `[D, 2]`."""
    weights = np.linalg.lstsq(pair, mean)[0]
    return float(np.linalg.norm(pair @ weights)) if (weights > 0).all() else 0.0


def most_likely(scores: np.ndarray, after_pause: Sequence[bool] | np.ndarray) -> np.ndarray:
    """The best path int `[T]` through similarities `[T, K]` to each voice; changing costs less `after_pause` `[T]`."""
    total, everyone = scores[0].astype(np.float64), np.arange(scores.shape[1])
    back = np.empty(scores.shape, np.int16)
    for at in range(1, len(scores)):
        best = total.argmax()
        changed = total[best] - (_SWITCH_IN_PAUSE if after_pause[at] else _SWITCH_IN_SPEECH)
        back[at] = np.where(total >= changed, everyone, best)
        total = np.maximum(total, changed) + scores[at]
    path = np.empty(len(scores), np.int64)
    path[-1] = total.argmax()
    for at in range(len(scores) - 1, 0, -1):
        path[at - 1] = back[at, path[at]]
    return path


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
