"""Held-out sentences the speaking model is judged on; those of a voice are alike in word count and duration."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mini.espeak import Espeak, Voice
from mini.sentences import grammar_sentence, listed_words, word_string
from mini.speech import CODEC_VOICES, SPEAKING_VOICES, UNHEARD_VOICES, some_voice, write_sentences

SENTENCES, SHOWN = 50, 10
"""For the model's own voice, and for each voice that a clip shows."""
VOICES, DIALOGUES = 5, 24
"""Of a language."""
SPREAD = 0.15  # references are at most this much longer or shorter than the median


def build(espeak: Espeak, folder: Path) -> list[Path]:
    """Write the sets and return their manifests: held-out sentences of trained words in the model's own voices (`seen`),
    in shown voices that it was (`heard`) and was not trained on (`unheard`), dialogues of two such voices each
    (`dialogues`), and words it was never trained on (`open`).
    """
    sets = {
        "seen": _own(espeak, folder / "seen", 8, held_out=True),
        "open": _own(espeak, folder / "open", 4, held_out=False),
        "heard": _shown(espeak, folder / "heard", sorted(set(CODEC_VOICES) - set(UNHEARD_VOICES))),
        "unheard": _shown(espeak, folder / "unheard", UNHEARD_VOICES),
        "dialogues": _dialogues(espeak, folder / "dialogues"),
    }
    return [_write(folder / name, lines) for name, lines in sets.items()]


def _write(folder: Path, lines: Iterable[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return manifest


def _own(espeak: Espeak, folder: Path, words: int, held_out: bool) -> Iterator[dict]:
    for language, voice in SPEAKING_VOICES.items():
        chance = random.Random(f"judge {language}")
        yield from _said(espeak, folder, language, voice, words, SENTENCES, chance, held_out)


def _shown(espeak: Espeak, folder: Path, variants: list[str]) -> Iterator[dict]:
    for language in SPEAKING_VOICES:
        chance = random.Random(f"judge {language} {len(variants)}")
        for variant in chance.sample(variants, VOICES):
            voice = some_voice(language, variant, chance)
            clip = grammar_sentence(language, chance)
            shown = {"audio": f"{language}-{variant}.flac", "text": f"[S1] {clip}"}
            write_sentences(espeak, [(clip, voice)], folder / shown["audio"])
            for line in _said(espeak, folder, language, voice, 7, SHOWN, chance, held_out=True):
                yield {**line, "voice": shown}


def _said(
    espeak: Espeak,
    folder: Path,
    language: str,
    voice: Voice,
    words: int,
    count: int,
    chance: random.Random,
    held_out: bool,
) -> Iterator[dict]:
    """References in one voice; of words never trained on where they are not held-out sentences of trained ones."""

    def make() -> str:
        if held_out:
            return grammar_sentence(language, chance, held_out=True)
        return word_string(listed_words(language, heard=False), chance)

    pool = {make() for _ in range(40 * count)}
    seconds = {s: len(espeak.say(s, voice)) for s in sorted(pool) if len(s.split()) == words}
    median = np.median(list(seconds.values()))
    near = [sentence for sentence, length in seconds.items() if abs(length / median - 1) <= SPREAD]
    for index, sentence in enumerate(chance.sample(near, count)):
        name = f"{voice.name}-{index:02d}.flac"
        write_sentences(espeak, [(sentence, voice)], folder / name)
        about = {"audio": name, "speaker": voice.name, "language": language}
        yield {**about, "text": f"[S1] {sentence}"}


def _dialogues(espeak: Espeak, folder: Path) -> Iterator[dict]:
    """Two turns of unheard voices, shown by a turn of each."""
    for language in SPEAKING_VOICES:
        chance = random.Random(f"judge dialogues {language}")
        for index in range(DIALOGUES):
            pair = [some_voice(language, v, chance) for v in chance.sample(UNHEARD_VOICES, 2)]
            clip, said = (
                [(grammar_sentence(language, chance, held_out), voice) for voice in pair]
                for held_out in (False, True)
            )
            name = f"{language}-{index:02d}"
            write_sentences(espeak, clip, folder / f"{name}-clip.flac")
            write_sentences(espeak, said, folder / f"{name}.flac")
            about = {"audio": f"{name}.flac", "speaker": "two", "language": language, "text": _tagged(said)}
            yield {**about, "voice": {"audio": f"{name}-clip.flac", "text": _tagged(clip)}}


def _tagged(turns: list[tuple[str, Voice]]) -> str:
    return " ".join(f"[S{number}] {sentence}" for number, (sentence, _) in enumerate(turns, 1))
