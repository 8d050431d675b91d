from __future__ import annotations

import numpy as np
import pytest

from rosella.asr.noise import noise


def test_noise_has_the_level_that_is_asked_for_and_silence_has_none():
    chance = np.random.default_rng(0)
    wave = noise(1.5, -30.0, chance)
    assert (wave.dtype, len(wave)) == (np.float32, 24_000)
    assert 20 * np.log10(wave.std()) == pytest.approx(-30, abs=0.2)
    silence = noise(1.5, None, chance)
    assert silence.shape == wave.shape and not silence.any()
