"""Utterances -> codes: decode the span, resample to the codec's rate, normalise loudness, encode, cache.

The cache has one file per recording and codec, `cache/codes/<fingerprint>/<recording>.npz`, whose members
carry CRC-32 sums. Exports are made from it.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from rosella import audio
from rosella.corpus.ahead import begun
from rosella.corpus.durable import atomic
from rosella.corpus.segment import Reject
from rosella.corpus.shards import CodecFacts, CodecLike
from rosella.errors import RosellaError, UserError
from rosella.records import Recording, Utterance

VERSION = "1"
BATCH_SECONDS = 240.0
"""Audio encoded together: enough for batches of equal length, little enough for memory, which holds three of them."""

DECODERS = 4
"""Threads that decode a batch; FFmpeg and the resampler let others run meanwhile."""


Decoded = tuple[list[Utterance], dict[str, np.ndarray]]
"""A batch of utterances and their waveforms, float32 `[samples]` by id."""


class Encoder(CodecLike, Protocol):
    """The part of a codec that tokenising needs."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]: ...


def version(codec: CodecLike) -> str:
    """Identifies what the tokenize stage does; another value makes its results stale."""
    return f"{VERSION}:{codec.fingerprint}"


class CodesCache:
    """Codes of utterances by recording, for one codec."""

    def __init__(self, corpus: Path, fingerprint: str) -> None:
        self.folder = corpus / "cache" / "codes" / re.sub(r"[^\w.-]", "_", fingerprint)

    def path(self, recording: str) -> Path:
        return self.folder / f"{recording}.npz"

    def save(self, recording: str, codes: dict[str, np.ndarray], codec: CodecLike) -> None:
        """Store uint16 `[frames, codebooks]` by utterance id."""
        empty = np.empty((0, codec.num_codebooks), np.uint16)
        with atomic(self.path(recording)) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                ids=np.array(list(codes), dtype=np.str_),
                frames=np.array([len(c) for c in codes.values()], np.int64),
                codes=np.concatenate([empty, *codes.values()]),
            )

    def load(self, recording: str) -> dict[str, np.ndarray]:
        """Codes by utterance id; a RosellaError when the file is missing or damaged."""
        path = self.path(recording)
        try:
            with np.load(path, allow_pickle=False) as stored:
                ids, frames, codes = stored["ids"].tolist(), stored["frames"], stored["codes"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError):
            raise RosellaError(
                f"The codes in {path} are missing or damaged: delete the file and run "
                "`rosella corpus run` again."
            ) from None
        return dict(zip(ids, np.split(codes, np.cumsum(frames)[:-1]), strict=True)) if ids else {}


def decoded(recording: Recording, utterances: Sequence[Utterance], sample_rate: int) -> Generator[Decoded]:
    """Utterances in batches, with their waveforms by id. A UserError says why the recording's audio cannot be used."""
    with ExitStack() as opened:
        readers = [opened.enter_context(audio.Reader(recording.path)) for _ in range(DECODERS)]
        for batch in _batches(utterances):
            parts = [
                begun(partial(_waveforms, reader, batch[number::DECODERS], sample_rate))
                for number, reader in enumerate(readers)
            ]
            wait(parts)  # or files would be closed that are still read
            yield batch, {id: wave for part in parts for id, wave in part.result().items()}


def encoded(batches: Iterable[Decoded], codec: Encoder) -> tuple[dict[str, np.ndarray], list[Reject]]:
    """Codes by utterance id, and what has none."""
    codes: dict[str, np.ndarray] = {}
    rejects: list[Reject] = []
    for batch, waveforms in batches:
        silent = [u for u in batch if not waveforms[u.id].any()]
        rejects += [Reject(u.start, u.end, "digital silence where speech should be") for u in silent]
        spoken = [u for u in batch if u not in silent]
        if spoken:
            made = codec.encode([waveforms[u.id] for u in spoken])
            codes.update((u.id, code) for u, code in zip(spoken, made, strict=True))
    return codes, rejects


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
    waves = {u.id: reader.decode(sample_rate, u.start, u.end) for u in utterances}
    return {id: audio.normalise_loudness(wave, sample_rate) for id, wave in waves.items()}


def remember_codec(corpus: Path, codec: CodecLike) -> None:
    """Note the codec of the latest run, for `corpus export`."""
    with atomic(corpus / "cache" / "codec.json") as temporary:
        temporary.write_text(json.dumps(asdict(CodecFacts.of(codec))), encoding="utf-8")


def remembered_codec(corpus: Path) -> CodecFacts:
    """The codec of the latest run."""
    try:
        return CodecFacts(**json.loads((corpus / "cache" / "codec.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UserError(
            f"Nothing in {corpus} has been turned into codes: run `rosella corpus run` first."
        ) from None
