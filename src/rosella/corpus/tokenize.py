"""Utterances -> codes: decode the span, resample to the codec's rate, normalise loudness, encode, cache.

The cache has one file per recording and codec, `cache/codes/<fingerprint>/<recording>.npz`, whose members
carry CRC-32 sums. Exports are made from it.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from rosella import audio
from rosella.codec.facts import CodecFacts, CodecLike
from rosella.corpus.ahead import in_thread
from rosella.errors import RosellaError, UserError
from rosella.files import replacing, write_json
from rosella.records import Recording, Reject, Utterance

VERSION = "1"
CACHE = Path("cache", "codes")
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


def cached_codes(corpus: Path, recording: str = "*") -> Iterator[Path]:
    """The files of one recording's codes, or of all, by whatever codec."""
    return (corpus / CACHE).glob(f"*/{recording}.npz")


class CodesCache:
    """Codes of utterances by recording, for one codec."""

    def __init__(self, corpus: Path, fingerprint: str) -> None:
        self.folder = corpus / CACHE / re.sub(r"[^\w.-]", "_", fingerprint)

    def path(self, recording: str) -> Path:
        return self.folder / f"{recording}.npz"

    @contextmanager
    def writing(self, recording: str) -> Iterator[Callable[[str, np.ndarray], None]]:
        """What stores codes, uint16 `[frames, codebooks]`, by utterance id, in a file that is there when the block ends."""
        with replacing(self.path(recording)) as temporary, zipfile.ZipFile(temporary, "w") as archive:

            def add(utterance: str, codes: np.ndarray) -> None:
                with archive.open(f"{utterance}.npy", "w") as member:
                    np.lib.format.write_array(member, codes, allow_pickle=False)

            yield add

    def read(self, recording: str) -> Iterator[tuple[str, np.ndarray]]:
        """Utterance ids with their codes, one after another; a RosellaError where the file is missing or damaged."""
        path = self.path(recording)
        try:
            with np.load(path, allow_pickle=False) as stored:
                for utterance in stored.files:
                    if not utterance.startswith(recording):
                        raise KeyError(utterance)
                    yield utterance, stored[utterance]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError):
            raise RosellaError(
                f"The codes in {path} are missing or damaged: delete the file and run "
                "`rosella corpus run` again."
            ) from None


def decoded(recording: Recording, utterances: Sequence[Utterance], sample_rate: int) -> Generator[Decoded]:
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


def encoded(
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


def remember_codec(corpus: Path, codec: CodecLike) -> None:
    """Note the codec of the latest run, for `corpus export`."""
    write_json(corpus / "cache" / "codec.json", asdict(CodecFacts.of(codec)), indent=None)


def remembered_codec(corpus: Path) -> CodecFacts:
    """The codec of the latest run."""
    try:
        return CodecFacts(**json.loads((corpus / "cache" / "codec.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UserError(
            f"Nothing in {corpus} has been turned into codes: run `rosella corpus run` first."
        ) from None
