"""Whose voice is it? By the embedded speaker encoder, and in dialogues turn by turn, by the embedded diarizer.

The encoder tells voices apart that sound different (`corpus.diarization`); cosines of one person lie above about 0.8.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from rosella import audio, dialogue
from rosella.corpus.diarization.embedded import EmbeddedDiarizer
from rosella.corpus.diarization.networks import SpeakerEncoder
from rosella.corpus.diarization.turns import Diarization
from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave

WINDOW, HOP = 25_600, 12_800
"""Samples of an embedding (1.6 s, what the encoder was trained on), and between two."""
SHORTEST = 6_400
"""A clip of fewer samples (0.4 s) tells no voice."""


class Voices:
    """Compares 16 kHz clips [N]; its networks are loaded when they are first asked."""

    def similarity(self, one: Wave, other: Wave) -> float | None:
        """Cosine of the mean embeddings of two clips, 1 being the same voice; None where one tells none."""
        first, second = self.embedding(one), self.embedding(other)
        return None if first is None or second is None else float(first @ second)

    def embedding(self, wave: Wave) -> np.ndarray | None:
        """The mean float32 `[D]` of unit length; None for a clip that is too short or silent."""
        if len(wave) < SHORTEST or not np.any(wave):
            return None
        starts = range(0, max(1, len(wave) - WINDOW + HOP), HOP)
        windows = [wave[start : start + WINDOW] for start in starts]
        mean = self._encoder([window for window in windows if len(window) >= SHORTEST]).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def nearest(self, wave: Wave, voices: Mapping[str, np.ndarray]) -> str | None:
        """Whose of some embeddings the voice of a clip is nearest to; None for a clip that tells none."""
        heard = self.embedding(wave)
        return None if heard is None else max(voices, key=lambda name: float(voices[name] @ heard))

    def by_tag(self, text: str, wave: Wave) -> dict[str, np.ndarray]:
        """Embeddings of the speakers of a clip by their tags, told by the order in which they appear.

        Empty where other than the text's number of voices is heard.
        """
        tags, found = list(dict.fromkeys(dialogue.speaker_tags(text))), self._diarized(wave)
        heard = list(dict.fromkeys(turn.speaker for turn in found.turns))
        if len(tags) < 2 or len(heard) != len(tags):
            return {}
        return {tag: found.embeddings[name] for tag, name in zip(tags, heard, strict=True)}

    def turns_right(self, text: str, wave: Wave, voices: Mapping[str, np.ndarray]) -> float | None:
        """The share of the text's turns that the right voice says, missing and additional turns counting as wrong.

        Each turn heard belongs to the nearest of `voices`; without these, tags follow the order of appearance. None for
        a text of a single speaker.
        """
        wanted = _changes(dialogue.speaker_tags(text))
        if len(set(wanted)) < 2:
            return None
        found = self._diarized(wave)
        names = _tags(found, voices, list(dict.fromkeys(wanted)))
        return _agreement(wanted, _changes([names[turn.speaker] for turn in found.turns]))

    def _diarized(self, wave: Wave) -> Diarization:
        if len(wave) < SHORTEST:
            return Diarization()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.wav"
            audio.write(path, wave, SAMPLE_RATE)
            return self._diarizer.diarize(path)

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        return SpeakerEncoder()

    @cached_property
    def _diarizer(self) -> EmbeddedDiarizer:
        return EmbeddedDiarizer()


def _tags(found: Diarization, voices: Mapping[str, np.ndarray], tags: Sequence[str]) -> dict[str, str]:
    """The tag of each speaker that was heard; a speaker beyond the text's has none of them."""
    speakers = list(dict.fromkeys(turn.speaker for turn in found.turns))
    if not voices:
        return {name: tags[at] if at < len(tags) else name for at, name in enumerate(speakers)}
    return {
        name: max(voices, key=lambda tag: float(voices[tag] @ found.embeddings[name])) for name in speakers
    }


def _changes(names: Sequence[str]) -> list[str]:
    """One name for each turn, repeated ones being one turn."""
    return [name for name, _ in groupby(names)]


def _agreement(wanted: Sequence[str], heard: Sequence[str]) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(wanted, heard)
