from __future__ import annotations

import numpy as np
import pytest

from evaluate.synthetic_speech import sentence
from rosella.evaluate.identity import Voices


def test_the_same_voice_is_more_alike_than_another():
    voices = Voices()
    low, again = sentence("aeiouaeiouaeiou", 100.0), sentence("uoieauoieauoiea", 100.0, seed=1)
    high = sentence("aeiouaeiouaeiou", 260.0, formant_shift=1.3)
    same, other = voices.similarity(low, again), voices.similarity(low, high)
    assert same is not None and other is not None and same > other + 0.05
    assert voices.similarity(low, low) == pytest.approx(1.0, abs=1e-5)


def test_what_is_too_short_or_silent_has_no_voice():
    voices = Voices()
    assert voices.embedding(np.zeros(1600, np.float32)) is None
    assert voices.similarity(np.zeros(32_000, np.float32), sentence("aeiou")) is None
