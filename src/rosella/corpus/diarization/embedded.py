"""The embedded diarizer: voice activity and overlaps, an embedding every 0.4 s of speech, clustering, the likeliest speaker.

A recording is decoded twice, block by block; what stays of it is 6 MB an hour.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import pairwise
from os import PathLike
from typing import NamedTuple

import numpy as np

from rosella import audio
from rosella.corpus.ahead import Ahead
from rosella.corpus.diarization.clustering import most_likely, voices
from rosella.corpus.diarization.networks import (
    DIMENSIONS,
    SAMPLE_RATE,
    VOICE_HOP,
    SpeakerEncoder,
    VoiceActivity,
)
from rosella.corpus.diarization.overlap import HOP, OverlapDetector
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn, speaker_name

VERSION = "3"
BLOCK_SECONDS = 32.0
"""A whole number of the frames of both detectors."""


class Bounds(NamedTuple):
    """Probabilities at which a region begins and ends; samples of a frame, of the shortest region and pause."""

    on: float
    off: float
    hop: int
    shortest: int
    pause: int


SPEECH = Bounds(0.5, 0.35, VOICE_HOP, 3 * VOICE_HOP, 2 * VOICE_HOP)
BOTH = Bounds(0.95, 0.7, HOP, 5 * HOP, 5 * HOP)
"""Rather strict: a false alarm costs speech that is good to train on."""

_WINDOW, _HOP, _STEP = 25_600, 6_400, 1_600
"""Samples of an embedding (1.6 s, what the encoder was trained on), between two, and of a decision (0.1 s)."""

_TELLING = 16_000
"""Windows with fewer samples are not clustered, since a second of speech hardly tells a voice."""

_ROUNDED = 800
"""Samples by which a recording may be shorter than its duration says, which counts the padding of MP3."""

_SOME = 4096
"""Windows compared with the voices at once, half an hour of speech: in float32 all of them would take twice their memory."""

_JOIN = 0.5
"""Seconds of pause that one speaker may make within a turn."""

Region = tuple[int, int]
"""First sample and the one behind the last, at 16 kHz."""


class EmbeddedDiarizer:
    """Needs nothing but this package; tells voices apart that sound different, not two that are alike."""

    version = f"embedded-{VERSION}"

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._encoder = SpeakerEncoder(device)
        self._detector = OverlapDetector(device)

    def diarize(self, path: str | PathLike[str]) -> Diarization:
        """Turns, overlaps and embeddings of a recording. A UserError says why it cannot be read."""
        regions, overlaps = self._heard(path)
        if not regions:
            return Diarization()
        windows = _windows(regions)
        embeddings = self._embeddings(path, windows)
        means = voices(*_telling(regions, windows, embeddings))
        return _assigned(regions, windows, embeddings, means, overlaps)

    def embed(self, path: str | PathLike[str], turns: Sequence[SpeakerTurn]) -> dict[str, np.ndarray]:
        """Mean embeddings of the speakers of known turns, which are in order of time; turns under a second tell nothing."""
        windows = [
            (window, turn.speaker)
            for turn in turns
            if turn.end - turn.start >= _TELLING / SAMPLE_RATE
            for window in _windows(
                [(round(turn.start * SAMPLE_RATE), round(turn.end * SAMPLE_RATE) - _ROUNDED)]
            )
        ]
        if not windows:
            return {}
        found = self._embeddings(path, [window for window, _ in windows]).astype(np.float32)
        speakers = np.array([speaker for _, speaker in windows[: len(found)]])
        sums = {name: found[speakers == name].sum(axis=0) for name in dict.fromkeys(speakers.tolist())}
        return {name: total / np.linalg.norm(total) for name, total in sums.items()}

    def _heard(self, path: str | PathLike[str]) -> tuple[list[Region], list[Region]]:
        """Where anybody speaks, and where two do."""
        activity, samples, voice, both = VoiceActivity(self._device), 0, [], []
        with Ahead(audio.blocks(path, SAMPLE_RATE, BLOCK_SECONDS)) as blocks:
            for block in blocks:
                voice.append(activity(block))
                both.append(self._detector(block))
                samples += len(block)
        regions = likely_regions(np.concatenate(voice), samples, SPEECH)
        return regions, likely_regions(_spoken(np.concatenate(both), regions), samples, BOTH)

    def _embeddings(self, path: str | PathLike[str], windows: Sequence[Region]) -> np.ndarray:
        """float16 `[windows, D]`; fewer where the recording ends before them."""
        found, done = np.empty((len(windows), DIMENSIONS), np.float16), 0
        with Ahead(_cut(path, windows)) as cut:
            for waves in cut:
                found[done : done + len(waves)] = self._encoder(waves)
                done += len(waves)
        return found[:done]


def likely_regions(probabilities: np.ndarray, samples: int, bounds: Bounds) -> list[Region]:
    """Where probabilities `[frames]` are high, in samples of a recording of `samples`.

    A region begins at `on` and lasts until `off`; between the two it stays as it was.
    """
    clear = (probabilities >= bounds.on).astype(np.int8) - (probabilities < bounds.off)
    last_clear = np.maximum.accumulate(np.where(clear != 0, np.arange(len(clear), dtype=np.int32), 0))
    changes = np.flatnonzero(np.diff(clear[last_clear] > 0, prepend=False, append=False))
    edges = np.minimum(changes * bounds.hop, samples)
    pauses = edges[1:-1].reshape(-1, 2)
    pauses = pauses[pauses[:, 1] - pauses[:, 0] >= bounds.pause]
    regions = np.concatenate([edges[:1], pauses.reshape(-1), edges[-1:]]).reshape(-1, 2)
    return [(start, end) for start, end in regions.tolist() if end - start >= bounds.shortest]


def _spoken(both: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Probabilities `[frames]` of two voices, zero where not even one was heard."""
    found = np.zeros_like(both)
    for start, end in regions:
        frames = slice(start // HOP, -(-end // HOP))
        found[frames] = both[frames]
    return found


def _windows(regions: Sequence[Region]) -> list[Region]:
    """Evenly spaced windows over each region; a short region is one window."""
    found: list[Region] = []
    for start, end in regions:
        steps = -(-max(end - start - _WINDOW, 0) // _HOP)
        starts = np.linspace(start, end - _WINDOW, steps + 1).astype(int) if steps else [start]
        found += [(int(at), min(int(at) + _WINDOW, end)) for at in starts]
    return found


def _cut(path: str | PathLike[str], windows: Sequence[Region]) -> Generator[list[np.ndarray]]:
    """The waveforms of the windows, some at a time, in their order."""
    held, first, done = np.empty(0, np.float32), 0, 0
    for block in audio.blocks(path, SAMPLE_RATE, BLOCK_SECONDS):
        held = np.concatenate([held, block])
        begun = done
        while done < len(windows) and windows[done][1] <= first + len(held):
            done += 1
        if done > begun:
            yield [held[start - first : end - first] for start, end in windows[begun:done]]
        keep = min(windows[done][0] if done < len(windows) else first + len(held), first + len(held))
        held, first = held[keep - first :], keep


def _telling(
    regions: Sequence[Region], windows: Sequence[Region], embeddings: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of the windows long enough to cluster, and the seconds each stands for: its share of its region."""
    lengths = np.array([end - start for start, end in windows])
    long = lengths >= min(_TELLING, lengths.max())
    region = np.searchsorted([end for _, end in regions], [end for _, end in windows])
    shares = np.array([end - start for start, end in regions]) / np.bincount(region)
    return embeddings[long], shares[region[long]] / SAMPLE_RATE


def _assigned(
    regions: Sequence[Region],
    windows: Sequence[Region],
    embeddings: np.ndarray,
    means: np.ndarray,
    overlaps: Sequence[Region],
) -> Diarization:
    some = (embeddings[first : first + _SOME] for first in range(0, len(embeddings), _SOME))
    alike = np.concatenate([rows.astype(np.float32) @ means.T for rows in some])
    steps, scores, after_pause = _steps(regions, windows, alike)
    path = most_likely(scores, after_pause)
    order = {voice: speaker_name(rank) for rank, voice in enumerate(dict.fromkeys(path.tolist()))}
    turns = join_turns(
        SpeakerTurn(*_seconds(step), order[voice]) for step, voice in zip(steps, path.tolist(), strict=True)
    )
    both = [_seconds(overlap) for overlap in overlaps] if len(order) > 1 else []
    return Diarization(turns, both, {name: means[voice] for voice, name in order.items()})


def _steps(
    regions: Sequence[Region], windows: Sequence[Region], alike: np.ndarray
) -> tuple[list[Region], np.ndarray, np.ndarray]:
    """Spans of about 0.1 s, their similarity `[T, K]` to each voice, and which of them `[T]` begin after a pause.

    A span's similarity is that of the windows over it, the more the nearer their middle.
    """
    steps: list[Region] = []
    scores, after_pause, first = [], [], 0
    for start, end in regions:
        last = first
        while last < len(windows) and windows[last][1] <= end:
            last += 1
        edges = np.linspace(start, end, max((end - start) // _STEP, 1) + 1).astype(int)
        steps += [(int(a), int(b)) for a, b in pairwise(edges)]
        spans = np.array(windows[first:last])
        half = (spans[:, 1] - spans[:, 0]) / 2
        distance = np.abs((edges[:-1] + edges[1:])[:, None] / 2 - spans.mean(axis=1))
        weights = np.maximum(1 - distance / half, 0) + 1e-6 * (distance <= half)
        scores.append(weights @ alike[first:last] / weights.sum(axis=1, keepdims=True))
        after_pause += [True] + [False] * (len(edges) - 2)
        first = last
    return steps, np.concatenate(scores), np.array(after_pause)


def join_turns(turns: Iterable[SpeakerTurn]) -> list[SpeakerTurn]:
    """Turns of one speaker become one where the pause between them is short."""
    found: list[SpeakerTurn] = []
    for turn in turns:
        if found and found[-1].speaker == turn.speaker and turn.start - found[-1].end <= _JOIN:
            found[-1] = SpeakerTurn(found[-1].start, turn.end, turn.speaker)
        else:
            found.append(turn)
    return found


def _seconds(region: Region) -> tuple[float, float]:
    return region[0] / SAMPLE_RATE, region[1] / SAMPLE_RATE
