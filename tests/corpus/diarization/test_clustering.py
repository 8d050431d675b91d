from __future__ import annotations

import numpy as np

from rosella.corpus.diarization.clustering import most_likely, voices


def fake_windows(seed: int, counts: list[int], noise: float = 0.03) -> np.ndarray:
    """Unit vectors around one axis per voice."""
    rng = np.random.default_rng(seed)
    found = np.repeat(np.eye(64)[: len(counts)], counts, axis=0) + noise * rng.standard_normal(
        (sum(counts), 64)
    )
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def test_voices_are_counted_over_a_recording_of_any_length():
    windows = np.concatenate([fake_windows(0, [900, 500]), fake_windows(1, [400, 900, 100])])
    means = voices(windows, np.full(len(windows), 0.4))
    assert means.shape == (3, 64)
    assert sorted(means.argmax(axis=1)) == [0, 1, 2]


def test_a_second_of_odd_embeddings_is_no_voice_unless_it_is_all_there_is():
    assert len(voices(fake_windows(0, [50, 2]), np.full(52, 0.4))) == 1
    assert len(voices(fake_windows(0, [1]), np.full(1, 0.4))) == 1


def test_two_voices_at_once_are_no_third_one():
    one, other = np.eye(64)[:2]
    both = np.repeat([(one + other) / 2**0.5], 10, axis=0).astype(np.float16)
    apart = fake_windows(0, [40, 30, 20])
    assert len(voices(np.concatenate([apart, both]), np.full(100, 0.4))) == 3


def test_speakers_change_in_pauses_rather_than_in_speech():
    scores = np.array([[0.8, 0.6], [0.8, 0.6], [0.6, 0.8], [0.8, 0.6], [0.6, 0.8], [0.6, 0.8]])
    assert most_likely(scores, [True] + 5 * [False]).tolist() == [0] * 6
    assert most_likely(scores, [True, False, False, False, True, False]).tolist() == [0, 0, 0, 0, 1, 1]
