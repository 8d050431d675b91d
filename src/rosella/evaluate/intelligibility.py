"""Is the speech understandable? Measured without a recogniser, with numpy and scipy alone.

*Sentence retrieval*: among recordings of many sentences by one voice, is the recording of the sentence that
was asked for the one closest to what was generated? Closeness is the dynamic time warping distance of mel
cepstra. Two controls belong to every number: the codec round trip of the references (what a perfect model
could reach) and a shuffled text (what a model that ignores its text would reach).

Axes: N samples, T frames, K coefficients, R references, G generated clips, I, J frames of two aligned clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
WINDOW = 400  # 25 ms
MEL_BANDS = 40
DYNAMIC_RANGE_DB = 60.0

Wave = NDArray[np.float32]
Matrix = NDArray[np.float64]


def mel_filterbank(sample_rate: int, fft_size: int, bands: int) -> Matrix:
    """Triangular filters [bands, fft_size // 2 + 1] on the HTK mel scale, 20 Hz to half the sample rate."""
    edges_mel = np.linspace(_to_mel(20.0), _to_mel(sample_rate / 2), bands + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    frequencies = np.linspace(0.0, sample_rate / 2, fft_size // 2 + 1)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(wave: Wave, hop: int = 160) -> Matrix:
    """Log mel energies [T, MEL_BANDS] in dB of 16 kHz mono audio [N]; 25 ms windows, `hop` samples apart.

    Values more than 60 dB below the loudest are raised to that floor, so the noise in pauses does not count.
    A clip shorter than one window is padded to one.
    """
    samples = np.asarray(wave, np.float64).reshape(-1)
    samples = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])  # or vowels drown consonants
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), 512)) ** 2
    decibels = 10.0 * np.log10(power @ _filters().T + 1e-10)
    return np.maximum(decibels, decibels.max() - DYNAMIC_RANGE_DB)


def mfcc(wave: Wave, hop: int = 320, coefficients: int = 13) -> Matrix:
    """Mel cepstra [T, coefficients] of a 16 kHz mono waveform [N].

    Each coefficient has mean 0 and variance 1 over the clip, which removes most of what differs between
    voices and microphones. Davis & Mermelstein 1980; the normalisation is Viikki & Laurila 1998.
    """
    from scipy.fft import dct

    cepstra = np.asarray(dct(log_mel(wave, hop), type=2, norm="ortho", axis=1))[:, :coefficients]
    return (cepstra - cepstra.mean(axis=0)) / (cepstra.std(axis=0) + 1e-6)


def dtw_distances(query: Matrix, references: Sequence[Matrix]) -> NDArray[np.float64]:
    """Dynamic time warping distance [R] of `query` [I, K] to each of the references [J, K].

    Frames compare by Euclidean distance. Symmetric steps (a diagonal step counts twice) divided by I + J
    make long and short clips comparable (Sakoe & Chiba 1978). All references advance together, one
    anti-diagonal at a time.
    """
    lengths = np.array([len(reference) for reference in references])
    if len(query) == 0 or (lengths == 0).any():
        raise ValueError("dtw_distances: every clip needs at least one frame")
    skewed = _skew(_frame_costs(query, references))
    return _accumulate(skewed, len(query), lengths) / (len(query) + lengths)


@dataclass(frozen=True)
class Retrieval:
    """Outcome of `sentence_retrieval` for G generated clips among R references."""

    own: NDArray[np.int64]  # [G] index of the reference each clip should find
    ranks: NDArray[np.int64]  # [G] place of that reference among its candidates, 1 = found
    candidates: NDArray[np.int64]  # [G] how many references it competed with, itself included
    distances: NDArray[np.float64]  # [G, R]

    @property
    def hits(self) -> int:
        return int((self.ranks == 1).sum())

    @property
    def rate(self) -> float:
        """Share of clips whose own reference is the nearest."""
        return self.hits / len(self.ranks)

    @property
    def chance(self) -> float:
        """The rate that guessing would give."""
        return float(np.mean(1.0 / self.candidates))


def sentence_retrieval(
    generated: Sequence[Wave],
    references: Sequence[Wave],
    own: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
) -> Retrieval:
    """Look for each generated clip's own sentence among recordings of many. Waveforms are 16 kHz mono [N].

    `own[g]` is the index of the reference with the words of clip g (default: g itself). `groups[r]` names the
    voice of reference r; only references in the group of a clip's own reference are its candidates, since
    otherwise sounding like the right voice would already narrow the search (default: one group).
    """
    own_index = np.arange(len(generated)) if own is None else np.asarray(own, np.int64)
    cepstra = [mfcc(wave) for wave in references]
    rows = [dtw_distances(mfcc(wave), cepstra) for wave in generated]
    return rank_references(np.stack(rows), own_index, groups)


def rank_references(
    distances: Matrix, own: NDArray[np.int64], groups: Sequence[str] | None = None
) -> Retrieval:
    """Ranks from a distance matrix [G, R]; a tie with another reference counts against the clip."""
    labels = np.zeros(distances.shape[1]) if groups is None else np.asarray(groups)
    competing = labels[own][:, None] == labels[None, :]
    own_distance = distances[np.arange(len(own)), own]
    ranks = (competing & (distances <= own_distance[:, None])).sum(axis=1)
    return Retrieval(own, ranks, competing.sum(axis=1), distances)


def shuffled_text(retrieval: Retrieval, groups: Sequence[str] | None = None) -> Retrieval:
    """Control: score each clip as if it had been asked for another sentence of the same group.

    What remains of the rate is what the measure gives away without the words. A reference alone in its
    group has no other sentence to be confused with and keeps its own.
    """
    labels = np.zeros(retrieval.distances.shape[1]) if groups is None else np.asarray(groups)
    wrong = [_next_member(labels, reference) for reference in retrieval.own]
    return rank_references(retrieval.distances, np.array(wrong), groups)


def _to_mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))


@lru_cache(maxsize=1)
def _filters() -> Matrix:
    return mel_filterbank(SAMPLE_RATE, 512, MEL_BANDS)


def _frame_costs(query: Matrix, references: Sequence[Matrix]) -> Matrix:
    """Euclidean distances [R, I, J], J the longest reference; cells beyond a shorter one are never read."""
    longest = max(len(reference) for reference in references)
    padded = np.zeros((len(references), longest, query.shape[1]))
    for row, reference in zip(padded, references, strict=True):
        row[: len(reference)] = reference
    products = np.einsum("ik,rjk->rij", query, padded)
    squares = (query**2).sum(axis=1)[None, :, None] + (padded**2).sum(axis=2)[:, None, :]
    return np.sqrt(np.maximum(squares - 2 * products, 0.0))


def _skew(costs: Matrix) -> Matrix:
    """[R, I, J] -> [I + J - 1, R, I]: entry (d, r, i) is the cost of (i, d - i), infinite outside."""
    count, height, width = costs.shape
    skewed = np.full((height + width - 1, count, height), np.inf)
    for i in range(height):
        skewed[i : i + width, :, i] = costs[:, i, :].T
    return skewed


def _accumulate(skewed: Matrix, height: int, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cost of the cheapest path from (0, 0) to (height - 1, lengths[r] - 1) for each reference r."""
    totals = np.empty(len(lengths))
    before, last = np.full((2, *skewed.shape[1:]), np.inf)
    for diagonal, cost in enumerate(skewed):
        best = 2 * cost if diagonal == 0 else last + cost
        straight = last[:, :-1] + cost[:, 1:]
        oblique = before[:, :-1] + 2 * cost[:, 1:]
        best[:, 1:] = np.minimum(best[:, 1:], np.minimum(straight, oblique))
        before, last = last, best
        arrived = lengths == diagonal + 2 - height
        totals[arrived] = best[arrived, height - 1]
    return totals


def _next_member(labels: NDArray[np.generic], reference: int) -> int:
    members = np.flatnonzero(labels == labels[reference])
    return int(members[(np.searchsorted(members, reference) + 1) % len(members)])
