from __future__ import annotations

import numpy as np
import pytest

from evaluate.synthetic_speech import RATE, sentence, sentences
from rosella.evaluate.intelligibility import (
    dtw_distances,
    log_mel,
    mel_filterbank,
    mfcc,
    rank_references,
    sentence_retrieval,
    shuffled_text,
)


def _slow_dtw(a: np.ndarray, b: np.ndarray) -> float:
    """The textbook recursion, one cell at a time."""
    cost = np.linalg.norm(a[:, None] - b[None], axis=2)
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    for i in range(len(a)):
        for j in range(len(b)):
            c = cost[i, j]
            steps = (total[i, j + 1] + c, total[i + 1, j] + c, total[i, j] + 2 * c)
            total[i + 1, j + 1] = 2 * c if i == j == 0 else min(steps)
    return total[-1, -1] / (len(a) + len(b))


@pytest.mark.parametrize("frames", [1, 2, 7, 13])
def test_batched_dtw_equals_the_textbook_recursion(frames: int) -> None:
    rng = np.random.default_rng(frames)
    query = rng.standard_normal((frames, 3))
    references = [rng.standard_normal((length, 3)) for length in (1, 5, 9, 20)]
    expected = [_slow_dtw(query, reference) for reference in references]
    np.testing.assert_allclose(dtw_distances(query, references), expected, rtol=1e-9)


def test_dtw_forgives_tempo_but_not_order() -> None:
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((20, 4))
    slow, backwards = np.repeat(clip, 2, axis=0), clip[::-1]
    same, other = dtw_distances(clip, [slow, backwards])
    assert same < 1e-6 < 0.5 < other


def test_dtw_refuses_an_empty_clip() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        dtw_distances(np.zeros((3, 2)), [np.zeros((0, 2))])


def test_mel_filters_peak_where_a_tone_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    centre = np.argmax(mel_filterbank(RATE, 512, 40) @ (np.arange(257) == round(1000 / RATE * 512)))
    assert (log_mel(tone).argmax(axis=1) == centre).all()


def test_mfcc_has_one_row_per_hop_and_ignores_gain() -> None:
    wave = sentence("aiueoy")
    cepstra = mfcc(wave, hop=320)
    assert cepstra.shape == ((len(wave) - 400) // 320 + 1, 13)
    np.testing.assert_allclose(mfcc(0.1 * wave), cepstra, atol=0.02)
    np.testing.assert_allclose(cepstra.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(cepstra.std(axis=0), 1, atol=1e-4)


def test_mfcc_of_silence_and_of_a_click_is_finite() -> None:
    assert np.isfinite(mfcc(np.zeros(5, np.float32))).all()
    assert np.isfinite(mfcc(np.ones(1, np.float32))).all()


def test_another_voice_at_another_tempo_finds_its_sentence_and_a_shuffled_text_does_not() -> None:
    texts = sentences(20)
    references = [sentence(text) for text in texts]
    generated = [sentence(text, pitch=190, speed=1.2, formant_shift=1.1, seed=1) for text in texts]
    found = sentence_retrieval(generated, references)
    assert found.rate >= 0.9
    assert found.chance == pytest.approx(0.05)
    assert shuffled_text(found).rate <= 0.1


def test_noise_is_at_chance() -> None:
    texts = sentences(20)
    noise = np.random.default_rng(3).standard_normal((20, RATE)).astype(np.float32)
    found = sentence_retrieval(list(noise), [sentence(text) for text in texts])
    assert found.rate <= 0.2


def test_only_the_same_group_competes_and_ties_count_against() -> None:
    distances = np.array([[2.0, 1.0, 2.0, 3.0], [0.5, 0.1, 0.5, 0.4]])
    own = np.array([0, 1])
    everyone = rank_references(distances, own)
    assert everyone.ranks.tolist() == [3, 1]  # reference 1 is nearer, reference 2 ties
    grouped = rank_references(distances, own, ["a", "b", "c", "a"])
    assert grouped.ranks.tolist() == [1, 1]
    assert grouped.candidates.tolist() == [2, 1]
    assert grouped.chance == pytest.approx(0.75)
    assert shuffled_text(grouped, ["a", "b", "c", "a"]).own.tolist() == [3, 1]
