"""Speech-like signals made with numpy: vowels as harmonics under two formants, words as pairs of vowels."""

from __future__ import annotations

import numpy as np

RATE = 16_000
VOWELS = {
    "a": (800, 1200),
    "e": (500, 1900),
    "i": (300, 2300),
    "o": (450, 800),
    "u": (320, 650),
    "y": (300, 1700),
}


def vowel(name: str, pitch: float, seconds: float, formant_shift: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = np.zeros_like(time)
    for harmonic in np.arange(pitch, 4000, pitch):
        gain = sum(np.exp(-(((harmonic - formant * formant_shift) / 150) ** 2)) for formant in VOWELS[name])
        wave += (gain + 0.01) * np.sin(2 * np.pi * harmonic * time)
    return wave * np.hanning(len(time))


def sentence(
    vowels: str, pitch: float = 120.0, speed: float = 1.0, formant_shift: float = 1.0, seed: int = 0
) -> np.ndarray:
    """float32 [N] at 16 kHz: one 0.15 s vowel per letter, with a little noise underneath."""
    wave = np.concatenate([vowel(name, pitch, 0.15 / speed, formant_shift) for name in vowels])
    noise = np.random.default_rng(seed).standard_normal(len(wave))
    return (0.1 * wave + 1e-4 * noise).astype(np.float32)


def sentences(count: int, length: int = 8, seed: int = 0) -> list[str]:
    """Distinct random sentences of `length` vowels."""
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    while len(texts) < count:
        text = "".join(rng.choice(list(VOWELS), length))
        if text not in texts:
            texts.append(text)
    return texts
