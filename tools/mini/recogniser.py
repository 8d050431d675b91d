"""Dialogue to teach the embedded recogniser with, and unseen sentences of unseen voices to judge it by.

usage: python tools/mini/recogniser.py OUT [--recordings 300]

Writes examples directories OUT/train (splits train and validation) and OUT/test, as `rosella asr prepare` would. No
four words in a row of the test or validation sets occur in training; this is checked when all is written. Each
recording depends on its number alone, and they are made by as many processes as there are cores.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process for each core makes recordings

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from mini import podcast
from mini.espeak import Espeak, Voice
from mini.sentences import grammar_sentence, listed_words, seen_words
from mini.speech import (
    CODEC_VOICES,
    EXCHANGES,
    SAMPLE_RATE,
    UNHEARD_VOICES,
    Turn,
    some_voice,
    write_recording,
)
from rosella import audio
from rosella.asr.examples import Example, Split, write_examples
from rosella.codec import load_codec
from rosella.corpus.disfluencies import DOUBLED
from rosella.corpus.tagging import written
from rosella.corpus.words import plain_words

LANGUAGES = ("en", "nl", "de")
WORDS = 500  # per language
LONGEST = 9.4  # seconds of an exchange: the recogniser's window less the margins
FILLERS = {"nl": ("eh", "uhm"), "en": ("uh", "uhm"), "de": ("äh", "ähm")}
LAUGHS = ("ha ha ha.", "ha ha ha ha.", "ha ha.")
FILLER, STUTTER, LAUGH, GRAMMAR = 0.35, 0.3, 0.1, 0.3  # shares of the turns
CODED = (
    0.4  # of the training recordings have been through the mini codec, as what the speaking model says has
)
EXCHANGED = ("0", "0", "00", "000", "01", "01", "001", "011", "010")
"""Who says the sentences of an exchange. Where each is another's, a recogniser learns that a pause changes the speaker."""

TEST_EXAMPLES, VALIDATION_EXAMPLES = 120, 40  # per language
SEED = 4_711


@dataclass
class Script:
    """Makes the turns of exchanges from a language's words; refuses sentences that hold a reserved four-gram."""

    language: str
    words: Sequence[str]
    chance: random.Random
    reserved: frozenset[tuple[str, ...]]

    def exchange(self, voices: list[Voice]) -> list[Turn]:
        while True:
            turns = [self.turn(voice) for voice in voices]
            texts = (" ".join(turn.text for turn in turns), " ".join(turn.clean or "" for turn in turns))
            if not any(self.reserved & grams(text) for text in texts):
                return turns

    def turn(self, voice: Voice) -> Turn:
        said = self.sentence()
        clean = " ".join(said)
        heard = self.stuttered(said) if self.chance.random() < STUTTER else said
        if self.chance.random() < FILLER:
            heard = self.hesitating(heard)
        text, clean = capital(" ".join(heard)), capital(clean)
        if self.chance.random() < LAUGH:
            return Turn(voice, f"(laughs) {text}", f"{self.chance.choice(LAUGHS)} {text}", clean)
        return Turn(voice, text, text, clean)

    def sentence(self) -> list[str]:
        if self.chance.random() < GRAMMAR:
            said = grammar_sentence(self.language, self.chance).split()
            return [said[0][0].lower() + said[0][1:], *said[1:]]
        said = self.chance.sample(self.words, self.chance.randint(2, 7))
        if len(said) > 4 and self.chance.random() < 0.3:
            said[self.chance.randint(0, 2)] += ","
        return [*said[:-1], said[-1] + self.chance.choice("...?")]

    def stuttered(self, said: list[str]) -> list[str]:
        """A word begins two or three times."""
        place = self.chance.choice((0, self.chance.randrange(len(said))))
        word = said[place].strip(",.?")
        if word.casefold() in DOUBLED:
            return said
        return [*said[:place], *[f"{word},"] * self.chance.choice((1, 1, 2)), *said[place:]]

    def hesitating(self, said: list[str]) -> list[str]:
        """One filler, now and then two, between any words."""
        for _ in range(self.chance.choice((1, 1, 1, 2))):
            place = self.chance.randrange(len(said))
            said = [*said[:place], f"{self.chance.choice(FILLERS[self.language])},", *said[place:]]
        return said


def capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def grams(text: str, size: int = 4) -> set[tuple[str, ...]]:
    """Four words in a row, across turns, without tags and events."""
    words = plain_words(text)
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


@cache
def vocabulary(espeak: Espeak, language: str) -> list[str]:
    """The words of the grammar and of the podcast, and frequent ones up to `WORDS`, none of which sound alike."""
    wanted = sorted({word.lower() for word in seen_words(language)} | podcast.words(language))
    sounds: dict[str, str] = {}
    for word in [*dict.fromkeys(wanted), *listed_words(language, heard=True)]:
        if len(sounds) < WORDS and word.isalpha():
            sounds.setdefault(phonemes(espeak, word, language), word)
    assert len(sounds) == WORDS, f"only {len(sounds)} words of {language} sound different"
    return list(sounds.values())


def phonemes(espeak: Espeak, word: str, language: str) -> str:
    """How espeak-ng says a word, in its own notation."""
    espeak.say(".", Voice(language))
    said = espeak._library.espeak_TextToPhonemes
    said.restype = ctypes.c_char_p
    return said(ctypes.byref(ctypes.c_char_p(word.encode())), 1, 0).decode()


def voices(language: str, names: Sequence[str], chance: random.Random) -> list[Voice]:
    """Who says each sentence of an exchange: people go on in their own voice, too."""
    pair = [some_voice(language, name, chance) for name in chance.sample(names, 2)]
    return [pair[int(who)] for who in chance.choice(EXCHANGED)]


@dataclass(frozen=True)
class Task:
    """A recording to make: `count` exchanges by voices among `names`, without a reserved four-gram."""

    path: Path
    language: str
    split: Split
    names: Sequence[str]
    count: int
    codec: str
    reserved: frozenset[tuple[str, ...]] = frozenset()


@cache
def engine() -> Espeak:
    return Espeak()


def recording(task: Task) -> list[Example]:
    """Speak a recording's exchanges into its file."""
    espeak, chance = engine(), random.Random(f"{SEED} {task.path.stem}")
    script = Script(task.language, vocabulary(espeak, task.language), chance, task.reserved)
    exchanges = []
    while len(exchanges) < task.count:
        turns = script.exchange(voices(task.language, task.names, chance))
        seconds = sum(len(espeak.say(turn.spoken or turn.text, turn.voice)) for turn in turns) / SAMPLE_RATE
        if seconds + 0.3 * len(turns) <= LONGEST:
            exchanges.append(turns)
    times, duration = write_recording(espeak, exchanges, task.path, chance.getrandbits(32))
    if task.split == "train" and chance.random() < CODED:
        through_codec(task.path, task.codec)
    examples, place = [], 0
    for turns in exchanges:
        spans = times[place : place + len(turns)]
        place += len(turns)
        start = max(0.0, spans[0]["start"] - chance.uniform(0.0, 0.25))
        end = min(duration, spans[-1]["end"] + chance.uniform(0.0, 0.25))
        examples.append(example(task, len(examples), start, end, turns))
    return examples


def example(task: Task, number: int, start: float, end: float, turns: list[Turn]) -> Example:
    speakers = list(dict.fromkeys(turn.voice.name for turn in turns))
    spoken = [speakers.index(turn.voice.name) for turn in turns]
    verbatim = written(zip(spoken, [turn.text for turn in turns], strict=True))
    clean = written(zip(spoken, [turn.clean or "" for turn in turns], strict=True))
    return Example(
        f"{task.path.stem}-{number:03d}",
        task.path,
        round(start, 3),
        round(end, 3),
        verbatim,
        clean,
        tuple(speakers),
        task.language,
        task.split,
    )


def through_codec(path: Path, name: str) -> None:
    """Replace a recording by what a codec makes of it."""
    codec = load_codec(name)
    wave = audio.decode(path, codec.sample_rate)
    pieces = [
        wave[start : start + 10 * codec.sample_rate] for start in range(0, len(wave), 10 * codec.sample_rate)
    ]
    made = [codec.decode(codec.encode([piece]))[0][: len(piece)] for piece in pieces]
    audio.write(path, np.concatenate(made), codec.sample_rate)


def tasks(
    folder: Path,
    split: Split,
    names: Sequence[str],
    recordings: int,
    count: int,
    codec: str,
    reserved: frozenset[tuple[str, ...]] = frozenset(),
) -> list[Task]:
    """Recordings in the languages by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    spoken = [LANGUAGES[number % len(LANGUAGES)] for number in range(recordings)]
    return [
        Task(folder / f"{split}-{language}-{number:04d}.flac", language, split, names, count, codec, reserved)
        for number, language in enumerate(spoken)
    ]


def build(folder: Path, recordings: int, codec: str) -> None:
    heard, languages = sorted(set(CODEC_VOICES) - set(UNHEARD_VOICES)), len(LANGUAGES)
    with ProcessPoolExecutor() as pool:

        def made(*arguments) -> list[Example]:
            return [example for examples in pool.map(recording, tasks(*arguments)) for example in examples]

        test = made(folder / "test", "test", UNHEARD_VOICES, languages, TEST_EXAMPLES, codec)
        unseen = made(folder / "train", "validation", UNHEARD_VOICES, languages, VALIDATION_EXAMPLES, codec)
        reserved = frozenset(four_grams([*test, *unseen]))
        train = made(folder / "train", "train", heard, recordings, EXCHANGES, codec, reserved)
    assert not reserved & four_grams(train), "training holds four words in a row of the test"
    report = {
        "words": dict.fromkeys(LANGUAGES, WORDS),
        "reserved_four_grams": len(reserved),
        "hours": sum(one.seconds for one in train) / 3600,
        "voices": {"train": heard, "held_out": UNHEARD_VOICES},
    }
    write_examples(folder / "train", [*train, *unseen], report)
    write_examples(folder / "test", test, report)


def four_grams(examples: Iterable[Example]) -> set[tuple[str, ...]]:
    return {gram for made in examples for text in (made.text, made.text_clean or "") for gram in grams(text)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--recordings", type=int, default=300, help="to train on, some seven minutes each")
    parser.add_argument("--codec", default="mini", help="through which part of them goes")
    options = parser.parse_args()
    build(options.out.resolve(), options.recordings, options.codec)


if __name__ == "__main__":
    main()
