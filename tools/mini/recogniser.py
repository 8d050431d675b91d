"""Dialogue to teach the embedded recogniser with, and unseen sentences of unseen voices to judge it by.

usage: python tools/mini/recogniser.py OUT [--hours 12]

Writes examples directories OUT/train (splits train and validation) and OUT/test, as `rosella asr prepare` would. No
four words in a row of the test or validation sets occur in training; this is checked when all is written.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from mini import podcast
from mini.espeak import Espeak, Voice
from mini.sentences import grammar_sentence, listed_words, seen_words
from mini.speech import CODEC_VOICES, EXCHANGES, SAMPLE_RATE, UNHEARD_VOICES, Turn, write_recording
from rosella import audio
from rosella.asr.examples import Example, Split, write_examples
from rosella.asr.scores import plain_words
from rosella.codec import load_codec
from rosella.corpus.clean import DOUBLED

LANGUAGES = ("en", "nl")
WORDS = 500  # per language
LONGEST = 9.4  # seconds of an exchange: the recogniser's window less the margins
FILLERS = {"nl": ("eh", "uhm"), "en": ("uh", "uhm")}
LAUGHS = ("ha ha ha.", "ha ha ha ha.", "ha ha.")
FILLER, STUTTER, LAUGH, GRAMMAR = 0.35, 0.2, 0.1, 0.3  # shares of the turns
CODED = (
    0.4  # of the training recordings have been through the mini codec, as what the speaking model says has
)
RATES, PITCHES = (135, 185), (30, 70)
TEST_EXAMPLES, VALIDATION_EXAMPLES = 120, 40  # per language
SEED = 4_711


@dataclass
class Script:
    """Makes the turns of exchanges from a language's words; refuses sentences that hold a reserved four-gram."""

    language: str
    words: list[str]
    chance: random.Random
    reserved: set[tuple[str, ...]] = field(default_factory=set)

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


def vocabulary(espeak: Espeak, language: str) -> list[str]:
    """The words of the grammar and of the podcast, and frequent ones up to `WORDS`, none of which sound alike."""
    names = {name for name, voice in podcast.SPEAKERS.items() if voice.name.startswith(language)}
    scripts = "\n".join(podcast.SCRIPTS.values()).strip().splitlines()
    spoken = [podcast.parse(line).clean or "" for line in scripts if line and line.split(":")[0] in names]
    wanted = sorted(seen_words(language)) + sorted({word for text in spoken for word in plain_words(text)})
    sounds: dict[str, str] = {}
    for word in [*dict.fromkeys(wanted), *listed_words(language, heard=True)]:
        if len(sounds) < WORDS and word.isalpha():
            sounds.setdefault(phonemes(espeak, word, language), word)
    return list(sounds.values())


def phonemes(espeak: Espeak, word: str, language: str) -> str:
    """How espeak-ng says a word, in its own notation."""
    espeak.say(".", Voice(language))
    said = espeak._library.espeak_TextToPhonemes
    said.restype = ctypes.c_char_p
    return said(ctypes.byref(ctypes.c_char_p(word.encode())), 1, 0).decode()


def voices(language: str, names: Sequence[str], chance: random.Random) -> list[Voice]:
    """Who speaks in an exchange: one to three turns of one or two voices."""
    pair = [
        Voice(
            f"{language}+{name}", chance.randint(*RATES), chance.randint(*PITCHES), chance.randint(*PITCHES)
        )
        for name in chance.sample(names, 2)
    ]
    return chance.choice(([pair[0]], pair, pair, [pair[0], pair[1], pair[0]]))


def recording(
    espeak: Espeak, script: Script, names: Sequence[str], path: Path, split: Split, count: int, seed: int
) -> list[Example]:
    """Speak `count` exchanges into one file."""
    exchanges = []
    while len(exchanges) < count:
        turns = script.exchange(voices(script.language, names, script.chance))
        seconds = sum(len(espeak.say(turn.spoken or turn.text, turn.voice)) for turn in turns) / SAMPLE_RATE
        if seconds + 0.3 * len(turns) <= LONGEST:
            exchanges.append(turns)
    times, duration = write_recording(espeak, exchanges, path, seed)
    examples, place = [], 0
    for number, turns in enumerate(exchanges):
        spans = times[place : place + len(turns)]
        place += len(turns)
        start = max(0.0, spans[0]["start"] - script.chance.uniform(0.0, 0.25))
        end = min(duration, spans[-1]["end"] + script.chance.uniform(0.0, 0.25))
        name = f"{path.stem}-{number:03d}"
        examples.append(example(name, path, start, end, turns, script.language, split))
    return examples


def example(
    name: str, path: Path, start: float, end: float, turns: list[Turn], language: str, split: Split
) -> Example:
    speakers = list(dict.fromkeys(turn.voice.name for turn in turns))
    tags = [f"[S{speakers.index(turn.voice.name) + 1}]" for turn in turns]
    verbatim = " ".join(f"{tag} {turn.text}" for tag, turn in zip(tags, turns, strict=True))
    clean = " ".join(f"{tag} {turn.clean}" for tag, turn in zip(tags, turns, strict=True))
    return Example(
        name, path, round(start, 3), round(end, 3), verbatim, clean, tuple(speakers), language, split
    )


def through_codec(path: Path) -> None:
    """Replace a recording by what the mini codec makes of it."""
    codec = load_codec("mini")
    wave = audio.decode(path, codec.sample_rate)
    pieces = [
        wave[start : start + 10 * codec.sample_rate] for start in range(0, len(wave), 10 * codec.sample_rate)
    ]
    made = [codec.decode(codec.encode([piece]))[0][: len(piece)] for piece in pieces]
    audio.write(path, np.concatenate(made), codec.sample_rate)


def recordings(
    espeak: Espeak, folder: Path, scripts: dict[str, Script], names: Sequence[str], split: Split, count: int
) -> Iterator[list[Example]]:
    """The examples of one recording after another, `count` exchanges each, in the languages by turns, without end."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        language = LANGUAGES[number % len(LANGUAGES)]
        path = folder / f"{split}-{language}-{number:04d}.flac"
        made = recording(espeak, scripts[language], names, path, split, count, SEED + number)
        if split == "train" and scripts[language].chance.random() < CODED:
            through_codec(path)
        yield made


def build(folder: Path, hours: float) -> None:
    espeak = Espeak()
    scripts = {
        name: Script(name, vocabulary(espeak, name), random.Random(f"{SEED} {name}")) for name in LANGUAGES
    }
    test = held_out(recordings(espeak, folder / "test", scripts, UNHEARD_VOICES, "test", TEST_EXAMPLES))
    unseen = recordings(espeak, folder / "train", scripts, UNHEARD_VOICES, "validation", VALIDATION_EXAMPLES)
    validation = held_out(unseen)
    reserved = four_grams([*test, *validation])
    for script in scripts.values():
        script.reserved = reserved
    heard, train, seconds = sorted(set(CODEC_VOICES) - set(UNHEARD_VOICES)), list[Example](), 0.0
    for made in recordings(espeak, folder / "train", scripts, heard, "train", EXCHANGES):
        train += made
        seconds += sum(one.seconds for one in made)
        print(f"{seconds / 3600:.2f} of {hours:.2f} h", flush=True)
        if seconds > hours * 3600:
            break
    assert not reserved & four_grams(train), "training holds four words in a row of the test"
    report = {
        "words": {name: len(script.words) for name, script in scripts.items()},
        "reserved_four_grams": len(reserved),
        "hours": seconds / 3600,
        "voices": {"train": heard, "held_out": UNHEARD_VOICES},
    }
    write_examples(folder / "train", [*train, *validation], report)
    write_examples(folder / "test", test, report)


def held_out(made: Iterator[list[Example]]) -> list[Example]:
    """One recording of each language."""
    return [example for _, examples in zip(LANGUAGES, made, strict=False) for example in examples]


def four_grams(examples: Iterable[Example]) -> set[tuple[str, ...]]:
    return {gram for made in examples for text in (made.text, made.text_clean or "") for gram in grams(text)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=12.0, help="of speech to train on, pauses left out")
    options = parser.parse_args()
    build(options.out.resolve(), options.hours)


if __name__ == "__main__":
    main()
