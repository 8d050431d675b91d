"""Who is who across recordings: one id for a voice wherever it is heard.

Recordings are taken in order of their ids, and what was linked before is never touched, so the ids do not depend on
how often the work was interrupted, and stay when recordings are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import groupby

import numpy as np

SAME_PERSON = 0.9
"""Cosine similarity of mean embeddings above which two speakers of different recordings are one person.

Tuned on synthetic voices to rather part one person, heard over another microphone, than to join two.
"""

Member = tuple[str, str]
"""Recording and the speaker's name in it."""


def link(
    known: Mapping[Member, tuple[str, np.ndarray]], new: Mapping[Member, np.ndarray]
) -> dict[Member, str]:
    """Voice ids of the `new` speakers, whose embeddings are float32 `[D]` of unit length.

    `known` speakers have theirs already, beside their embeddings. Two of one recording never share a voice.
    """
    people = _People()
    for member in sorted(known):
        people.add(*known[member])
    taken: dict[str, set[str]] = {}
    for (recording, _), (voice, _) in known.items():
        taken.setdefault(recording, set()).add(voice)
    found: dict[Member, str] = {}
    for recording, members in groupby(sorted(new), key=lambda member: member[0]):
        names = list(members)
        embeddings = np.stack([new[member] for member in names])
        chosen = people.matched(embeddings, taken.get(recording, set()))
        for member, embedding, voice in zip(names, embeddings, chosen, strict=True):
            found[member] = voice or _new_voice(member)
            people.add(found[member], embedding)
    return found


class _People:
    """Voices and the sums of their embeddings, of which the directions are compared."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._sums = np.empty((0, 0), np.float32)

    def add(self, voice: str, embedding: np.ndarray) -> None:
        row = self._rows.setdefault(voice, len(self._rows))
        if row >= len(self._sums):  # doubled, so that adding many copies little
            grown = np.zeros((max(64, 2 * len(self._sums)), len(embedding)), np.float32)
            if row:
                grown[: len(self._sums)] = self._sums
            self._sums = grown
        self._sums[row] += embedding

    def matched(self, embeddings: np.ndarray, taken: set[str]) -> list[str | None]:
        """The voice of each of one recording's speakers `[N, D]`, every voice at most once and none that is `taken`."""
        from scipy.optimize import linear_sum_assignment

        if not self._rows:
            return [None] * len(embeddings)
        sums, names = self._sums[: len(self._rows)], list(self._rows)
        alike = embeddings @ sums.T / np.linalg.norm(sums, axis=1)
        alike[:, [self._rows[voice] for voice in taken if voice in self._rows]] = 0
        alike[alike < SAME_PERSON] = 0
        found: list[str | None] = [None] * len(embeddings)
        near = np.flatnonzero(alike.any(axis=0))
        for row, column in zip(*linear_sum_assignment(-alike[:, near]), strict=True):
            if alike[row, near[column]]:
                found[row] = names[near[column]]
        return found


def _new_voice(member: Member) -> str:
    """An id that tells nothing of the recording it was first heard in, which may have to be forgotten."""
    return f"voice-{hashlib.sha256('/'.join(member).encode()).hexdigest()[:16]}"
