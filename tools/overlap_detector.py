"""overlap_detector.py: train the network that hears two voices at once, on mixtures of synthetic ones.

usage: python tools/overlap_detector.py [--steps 1800]

Five minutes on one thread. Writes the weights beside the network (`rosella.corpus.diarization.overlap`), and prints how
much of the overlap in mixtures of voices left out of training it hears.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from safetensors.torch import save_file

from mini.espeak import Espeak, Voice
from mini.sentences import grammar_sentence, listed_words, word_string
from mini.speech import CODEC_VOICES
from rosella import audio
from rosella.corpus.diarization.networks import SAMPLE_RATE
from rosella.corpus.diarization.overlap import DILATIONS, HOP, WEIGHTS, logits, spectra

VALIDATION_VOICES = "m5 f1 grandpa linda klatt2 Andy steph kaukovalta".split()
CLIPS = 4  # per voice and language
SECONDS, BATCH = 6, 8
SAMPLES = SECONDS * SAMPLE_RATE
OVERLAPPING, TWO = 0.7, 0.9  # shares of the mixtures: with overlap, and of two voices at all
PAUSES = {True: (-2.0, 0.3), False: (0.0, 0.5)}  # seconds between turns, with overlap and without
QUIETER = 8.0  # dB by which a voice may be below the loudest
PITCHED, TIMED, WIDTH = 8, 16, 48  # channels of the layers over frequency, of the last two of them, over time
RATE = 4e-3
SEED = 5

Pool = list[list[np.ndarray]]
"""Clips by voice, float16 `[samples]` at one loudness."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1800)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    espeak = Espeak()
    train = clips(espeak, [name for name in CODEC_VOICES if name not in VALIDATION_VOICES])
    weights = trained(train, steps)
    save_file({name: tensor.detach().half() for name, tensor in sorted(weights.items())}, WEIGHTS)
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e3:.0f} kB")
    print(judged(clips(espeak, VALIDATION_VOICES), weights))


def clips(espeak: Espeak, names: Sequence[str]) -> Pool:
    """Sentences and word strings of every voice, half of them in each language."""
    chance = random.Random(SEED)
    return [
        [_clip(espeak, name, language, chance) for language in ("en", "nl") for _ in range(CLIPS)]
        for name in names
    ]


def _clip(espeak: Espeak, name: str, language: str, chance: random.Random) -> np.ndarray:
    strings = word_string(listed_words(language, heard=True), chance)
    text = chance.choice((strings, grammar_sentence(language, chance)))
    voice = Voice(
        f"{language}+{name}", chance.randint(130, 190), chance.randint(25, 75), chance.randint(30, 70)
    )
    return audio.normalise_loudness(espeak.say(text, voice), SAMPLE_RATE).astype(np.float16)


def trained(pool: Pool, steps: int) -> dict[str, torch.Tensor]:
    weights = initial()
    optimizer = torch.optim.AdamW(weights.values(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    rng, losses = np.random.default_rng(SEED), []
    for step in range(1, steps + 1):
        waves, both = batch(pool, rng)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits(weights, spectra(waves)), both)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"step {step}: loss {np.mean(losses[-50:]):.3f}", flush=True)
    return weights


def initial() -> dict[str, torch.Tensor]:
    """Normal weights that keep the variance (He 2015, arXiv:1502.01852), those of the residual layers a third."""
    shapes = {
        "pitch1": (PITCHED, 1, 5, 3),
        "pitch2": (TIMED, PITCHED, 5, 3),
        "pitch3": (TIMED, TIMED, 5, 3),
        "mix": (WIDTH, 32 * TIMED, 1),
        **{f"time{wide}": (WIDTH, WIDTH, 3) for wide in DILATIONS},
        "last": (1, WIDTH, 1),
    }
    weights = {}
    for name, shape in shapes.items():
        scale = (2 / np.prod(shape[1:])) ** 0.5 / (3 if name.startswith("time") else 1)
        weights[f"{name}.weight"] = (float(scale) * torch.randn(shape)).requires_grad_()
        weights[f"{name}.bias"] = torch.zeros(shape[0], requires_grad=True)
    return weights


def batch(pool: Pool, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms `[N, samples]`, and 1.0 where two speak `[N, frames]`."""
    waves, both = zip(*(mixture(pool, rng) for _ in range(BATCH)), strict=True)
    return torch.from_numpy(np.stack(waves)), torch.from_numpy(np.stack(both))


def mixture(pool: Pool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Six seconds of a dialogue or monologue as a microphone in a room might record it, and where two speak."""
    names = rng.choice(len(pool), 2, replace=False)
    levels, speeds = 10 ** (rng.uniform(-QUIETER, 0, 2) / 20), rng.uniform(0.88, 1.14, 2)
    kind = rng.random()
    wave, active = np.zeros(SAMPLES, np.float32), np.zeros((2, SAMPLES), bool)
    at, who = -int(rng.uniform(0, 3) * SAMPLE_RATE), 0
    while at < SAMPLES:
        said = _sped(pool[names[who]][rng.integers(2 * CLIPS)], speeds[who])
        here = slice(max(at, 0), max(at + len(said), 0))
        there = slice(max(-at, 0), SAMPLES - at)
        wave[here] += levels[who] * said[there]
        active[who, here] |= spoken(said)[there]
        at += len(said) + int(rng.uniform(*PAUSES[kind < OVERLAPPING]) * SAMPLE_RATE)
        who = 1 - who if kind < TWO else who
    both = active.all(axis=0).reshape(-1, HOP).mean(axis=1) > 0.5
    return audio.normalise_loudness(recorded(wave, rng), SAMPLE_RATE), both.astype(np.float32)


def _sped(clip: np.ndarray, speed: float) -> np.ndarray:
    """A new voice, since pitch and formants move with the speed."""
    return np.interp(np.arange(0, len(clip) - 1, speed), np.arange(len(clip)), clip).astype(np.float32)


def spoken(wave: np.ndarray) -> np.ndarray:
    """Which samples lie within 35 dB of the loudest 30 ms, or in a gap of less than 0.2 s: bool `[samples]`."""
    power = np.add.reduceat(wave**2, np.arange(0, len(wave), 160))
    power = np.convolve(power, np.ones(3) / 3, "same")
    loud = np.flatnonzero(power > power.max() * 10**-3.5)
    active = np.zeros(len(power), bool)
    for start, end in pairwise(loud):
        active[start : end + 1] |= end - start < 20
    return np.repeat(active, 160)[: len(wave)]


def recorded(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sometimes reverberation, always a random tone curve and noise 5 to 60 dB below."""
    spectrum, length = np.fft.rfft(wave, 2 * len(wave)), 2 * len(wave)
    if rng.random() < 0.4:
        time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / rng.uniform(0.1, 0.6))
        spectrum *= 1 + np.fft.rfft(rng.uniform(0.02, 0.12) * tail, length)
    curve = np.cumsum(rng.standard_normal(6)) * rng.uniform(0, 0.4)
    spectrum *= np.exp(np.interp(np.linspace(0, 5, len(spectrum)), np.arange(6), curve))
    found = np.fft.irfft(spectrum, length)[: len(wave)]
    level = np.sqrt(np.mean(found**2)) * 10 ** (-rng.uniform(5, 60) / 20)
    return (found + level * rng.standard_normal(len(wave))).astype(np.float32)


def judged(pool: Pool, weights: dict[str, torch.Tensor]) -> str:
    rng, right, found, there = np.random.default_rng(SEED), 0.0, 0.0, 0.0
    for _ in range(20):
        waves, both = batch(pool, rng)
        with torch.inference_mode():
            heard = logits(weights, spectra(waves)) > 0
        right += (heard * both).sum().item()
        found, there = found + heard.sum().item(), there + both.sum().item()
    return f"voices left out: {right / there:.0%} of the overlap heard, {right / found:.0%} of what was heard is overlap"


if __name__ == "__main__":
    main()
