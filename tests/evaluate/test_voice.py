from __future__ import annotations

import numpy as np
import pytest

from evaluate.synthetic_speech import RATE, sentence, vowel
from rosella.evaluate.voice import closeness, median_pitch


@pytest.mark.parametrize("pitch", [80.0, 125.0, 210.0, 330.0])
def test_median_pitch_of_a_vowel(pitch: float) -> None:
    measured = median_pitch(vowel("a", pitch, 0.6).astype(np.float32))
    assert RATE / measured == pytest.approx(RATE / pitch, abs=1)  # a period is known to the sample


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert np.isnan(median_pitch(noise))
    assert np.isnan(median_pitch(np.zeros(RATE, np.float32)))


def test_pitch_distance_is_in_semitones() -> None:
    octave = closeness(sentence("aeiou", pitch=200), sentence("uoiea", pitch=100))
    assert octave.pitch_semitones == pytest.approx(12, abs=0.3)


def test_the_same_voice_with_other_words_is_closer_than_another_voice() -> None:
    reference = sentence("aeiouyaeiouy")
    same = closeness(sentence("yuoieayuoiea", seed=1), reference)
    other = closeness(sentence("yuoieayuoiea", pitch=170, formant_shift=1.3, seed=1), reference)
    assert same.pitch_semitones < 0.5 < other.pitch_semitones
    assert same.spectrum_db < 0.5 * other.spectrum_db


def test_loudness_does_not_count() -> None:
    clip = sentence("aeiou")
    assert closeness(0.2 * clip, clip).spectrum_db < 0.2
