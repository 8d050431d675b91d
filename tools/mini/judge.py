"""Held-out sentences the speaking model is judged on: 50 references of one voice, alike in word count and duration."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mini.espeak import Espeak, noise
from mini.sentences import grammar_sentence, listed_words, word_string
from mini.speech import SAMPLE_RATE, SPEAKING_VOICES
from rosella import audio

SENTENCES = 50
SPREAD = 0.15  # references are at most this much longer or shorter than the median


def build(espeak: Espeak, folder: Path) -> list[Path]:
    """Write the sets `seen` (held-out sentences of trained words) and `open` (words never trained on); their manifests."""
    return [
        _build_set(espeak, folder / name, make, words)
        for name, make, words in (("seen", _seen, 8), ("open", _open, 4))
    ]


def _seen(language: str, chance: random.Random) -> str:
    return grammar_sentence(language, chance, held_out=True)


def _open(language: str, chance: random.Random) -> str:
    return word_string(listed_words(language, heard=False), chance)


def _build_set(espeak: Espeak, folder: Path, make: Callable[[str, random.Random], str], words: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        line for language in SPEAKING_VOICES for line in _language(espeak, folder, language, make, words)
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return manifest


def _language(espeak: Espeak, folder: Path, language: str, make, words: int):
    for index, sentence in enumerate(_alike(espeak, language, make, words)):
        name = f"{language}-{index:02d}.flac"
        _speak(espeak, sentence, language, folder / name)
        about = {"audio": name, "speaker": SPEAKING_VOICES[language].name, "language": language}
        yield {**about, "text": f"[S1] {sentence}"}


def _alike(espeak: Espeak, language: str, make, words: int) -> list[str]:
    chance = random.Random(f"judge {language}")
    pool = {make(language, chance) for _ in range(40 * SENTENCES)}
    seconds = {
        s: len(espeak.say(s, SPEAKING_VOICES[language])) for s in sorted(pool) if len(s.split()) == words
    }
    median = np.median(list(seconds.values()))
    near = [sentence for sentence, length in seconds.items() if abs(length / median - 1) <= SPREAD]
    return chance.sample(near, SENTENCES)


def _speak(espeak: Espeak, sentence: str, language: str, path: Path) -> None:
    wave = audio.normalise_loudness(espeak.say(sentence, SPEAKING_VOICES[language]), SAMPLE_RATE)
    audio.write(path, wave + noise(len(wave), len(sentence)), SAMPLE_RATE)
