"""Utterances -> codes: decode the span, resample to the codec's rate, normalise loudness, encode, cache."""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from rosella import audio
from rosella.codec.facts import CodecLike
from rosella.corpus.ahead import Expected, in_thread
from rosella.corpus.codes import CodesCache, version
from rosella.corpus.stage import TOKENIZE, Known, StageResult
from rosella.errors import RosellaError
from rosella.records import Recording, Reject, Utterance

BATCH_SECONDS = 240.0
"""Audio encoded together: enough for batches of equal length, little enough for memory, which holds three of them."""

DECODERS = 4
"""Threads that decode a batch; FFmpeg and the resampler let others run meanwhile."""


Decoded = tuple[list[Utterance], dict[str, np.ndarray]]
"""A batch of utterances and their waveforms, float32 `[samples]` by id."""


class Encoder(CodecLike, Protocol):
    """The part of a codec that tokenising needs."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]: ...


@dataclass
class TokenizeStage:
    """Turns utterances into codes, reusing those whose span is unchanged."""

    catalogue: Known
    cache: CodesCache
    codec: Encoder
    name: str = TOKENIZE

    @property
    def version(self) -> str:
        return version(self.codec)

    def __post_init__(self) -> None:
        self._expected = Expected(self._due, self._decode)

    def expect(self, recording: Recording | None) -> None:
        self._expected.expect(recording)

    def run(self, recording: Recording) -> StageResult:
        worded, known = self._worded(recording), self._known(recording.id)
        missing, kept = _missing(worded, known), known.intersection(u.id for u in worded)
        rejects: list[Reject] = []
        with self._expected.take(recording, missing) as batches, self.cache.writing(recording.id) as add:
            for utterance, codes in self.cache.read(recording.id) if kept else ():
                if utterance in kept:
                    add(utterance, codes)
            for fresh, without in encode(batches, self.codec):
                rejects += without
                for utterance, codes in fresh.items():
                    add(utterance, codes)
        return StageResult(None, rejects)

    def _worded(self, recording: Recording) -> list[Utterance]:
        return [u for u in self.catalogue.utterances(recording.id) if u.text]

    def _due(self, recording: Recording) -> list[Utterance]:
        return _missing(self._worded(recording), self._known(recording.id))

    def _decode(self, recording: Recording, utterances: list[Utterance]) -> Generator[Decoded]:
        return decode(recording, utterances, self.codec.sample_rate)

    def _known(self, recording: str) -> set[str]:
        try:
            return {utterance for utterance, _ in self.cache.read(recording)}
        except RosellaError:
            return set()


def _missing(utterances: Sequence[Utterance], known: Container[str]) -> list[Utterance]:
    """Those that have no codes yet."""
    return [u for u in utterances if u.id not in known]


def decode(recording: Recording, utterances: Sequence[Utterance], sample_rate: int) -> Generator[Decoded]:
    """Utterances in batches, with their waveforms by id. A UserError says why the recording's audio cannot be used."""
    with ExitStack() as opened:
        readers = [opened.enter_context(audio.Reader(recording.audio)) for _ in range(DECODERS)]
        for batch in _batches(utterances):
            parts = [
                in_thread(partial(_waveforms, reader, batch[number::DECODERS], sample_rate))
                for number, reader in enumerate(readers)
            ]
            wait(parts)  # or files would be closed that are still read
            yield batch, {id: wave for part in parts for id, wave in part.result().items()}


def encode(
    batches: Iterable[Decoded], codec: Encoder
) -> Iterator[tuple[dict[str, np.ndarray], list[Reject]]]:
    """Codes by utterance id, and what has none, batch by batch."""
    for batch, waveforms in batches:
        silent = [u for u in batch if not waveforms[u.id].any()]
        spoken = [u for u in batch if u not in silent]
        codes = codec.encode([waveforms[u.id] for u in spoken]) if spoken else []
        rejects = [Reject(u.start, u.end, "digital silence where speech should be") for u in silent]
        yield dict(zip((u.id for u in spoken), codes, strict=True)), rejects


def _batches(utterances: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    batch: list[Utterance] = []
    seconds = 0.0
    for utterance in utterances:
        batch.append(utterance)
        seconds += utterance.end - utterance.start
        if seconds >= BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _waveforms(
    reader: audio.Reader, utterances: Sequence[Utterance], sample_rate: int
) -> dict[str, np.ndarray]:
    return {
        u.id: audio.normalise_loudness(reader.decode(sample_rate, u.start, u.end), sample_rate)
        for u in utterances
    }
