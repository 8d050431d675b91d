"""How often an utterance is drawn and how much it counts, by how much its main speaker says in the whole catalogue.

Two rules: sampling tempered by a power of the speaker's share (as multilingual models sample languages, Conneau 2019),
and, off by default, loss weights by the effective number of samples (Cui 2019, arXiv:1901.05555).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rosella.records import Utterance


@dataclass(frozen=True)
class Balance:
    """`temper`: 0 draws utterances as they come, 1 every speaker as often. `beta`: 0 counts all alike, towards 1 rare
    speakers count more."""

    temper: float = 0.5
    beta: float = 0.0

    def sampling(self, utterances: Iterable[Utterance]) -> dict[str, float]:
        """Sampling weight by utterance id; their mean is 1."""
        chosen = list(utterances)
        return _by_speaker(chosen, {name: n**-self.temper for name, n in _counts(chosen).items()})

    def loss(self, utterances: Iterable[Utterance]) -> dict[str, float]:
        """Loss weight by utterance id; their mean is 1."""
        chosen = list(utterances)
        effective = {
            name: (1 - self.beta) / (1 - self.beta**count) for name, count in _counts(chosen).items()
        }
        return _by_speaker(chosen, effective)


def _counts(utterances: Sequence[Utterance]) -> Counter[str]:
    return Counter(speaker_of(utterance) for utterance in utterances)


def speaker_of(utterance: Utterance) -> str:
    """The main speaker, or, where nobody knows one, the recording's own."""
    return utterance.main_speaker or f"?{utterance.recording}"


def _by_speaker(utterances: Sequence[Utterance], weights: Mapping[str, float]) -> dict[str, float]:
    raw = {utterance.id: weights[speaker_of(utterance)] for utterance in utterances}
    mean = sum(raw.values()) / max(1, len(raw))
    return {name: weight / mean for name, weight in raw.items()}
