"""How often speech goes wrong, before and after what is said again; and how steady three minutes of two speakers are.

usage: python benchmarks/steady.py [--model mini] [--seed 0] [--part sentences] [--part long] [--best-of 4]

*Sentences*: 64 of words that the embedded model has learnt, half English and half Dutch, in its own voices, 48 in the
voices of clips that it never heard, and 32 of one word. Each is said once (before) and as `speak`
says it by itself (after). Faults are told by the embedded recogniser and by the length of a reference that espeak-ng
gives, of which what is said again knows nothing:

- garbled: half of the words or more are wrong;
- cut off: of four or more words, the last two are not heard;
- too much: one and a half times as many words are heard;
- one word: another of its language sounds more like its recording, or it takes more than twice as long (the recogniser
  knows no single words: it hears 8 of their 32 recordings);
- clip again: half of the clip's own words are heard, and at least two;
- too fast: said in less than 0.6 of the reference's time;
- endless: not ended after the time the model is given.

*Long form*: a script of three minutes by two speakers. At each seam between pieces, the jump of level and the spectral
distance of the half second on either side, beside those of pauses inside pieces; the similarity of each speaker with
himself and with the other, turn by turn; and the share of turns in the right voice.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import numpy as np
from _machine import row

from mini import judge
from mini.espeak import Espeak
from mini.sentences import grammar_sentence
from mini.speech import SPEAKING_VOICES
from rosella import audio
from rosella.corpus.steps.transcribe import Transcriber
from rosella.corpus.words import plain_words
from rosella.evaluate.identity import Voices
from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave, log_mel, sentence_retrieval
from rosella.evaluate.reading import read_back, reader
from rosella.evaluate.sentences import Sentence, VoiceClip, read_sentences
from rosella.speak import Speaker, Voice, load
from rosella.speak.recital import Recital
from rosella.speak.subtitles import Cue
from rosella.speak.takes import TRIES

LANGUAGES = ("en", "nl")
WORDS = {
    "en": "yes no maybe listen okay right apple book bread box umbrella flower keys chair clock lemons",
    "nl": "ja nee misschien luister natuurlijk precies appel boek brood doos paraplu bloem sleutels stoel klok citroenen",
}
TAGS = ("S1", "S2")
TURNS = 60
"""About three minutes of sentences of the grammar."""


class Asked(NamedTuple):
    """What is to be said, and how somebody else says it, at 16 kHz."""

    kind: str
    sentence: Sentence
    reference: Wave


class Heard(NamedTuple):
    """What was said, at 16 kHz, what the recogniser heard, and whether it is the most like its own recording."""

    asked: Asked
    wave: Wave
    stopped: bool
    words: list[str]
    edits: int
    own: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--best-of", type=int, default=1, help="the best of so many too")
    parser.add_argument("--part", choices=["sentences", "long"], action="append")
    options = parser.parse_args()
    speaker, name = load(options.model), Path(options.model).name
    if "sentences" in (options.part or ["sentences"]):
        sentences(speaker, name, options.seed, options.best_of)
    if "long" in (options.part or ["long"]):
        long_form(speaker, name, options.seed)


def sentences(speaker: Speaker, name: str, seed: int, best_of: int) -> None:
    wanted, recogniser = asked(), reader("mini")
    ways = {"once": (1, 1), "as it is spoken": (TRIES, 1), f"best of {best_of}": (TRIES, best_of)}
    for label, way in ways.items():
        if label == "best of 1":
            continue
        began = time.monotonic()
        heard = said(speaker, wanted, recogniser, seed, *way)
        print(row(f"steady, {name}, {label}, seconds for all", f"{time.monotonic() - began:.0f}"), flush=True)
        for kind in ("own voice", "clip's voice"):
            of_kind = [each for each in heard if each.asked.kind == kind]
            words = sum(len(plain_words(each.asked.sentence.text)) for each in of_kind)
            wrong = sum(each.edits for each in of_kind) / words
            print(row(f"steady, {name}, {label}, {kind}: words wrong", f"{wrong:.1%} of {words}"))
        for fault, found in FAULTS.items():
            told = [told for each in heard if (told := found(each)) is not None]
            print(row(f"steady, {name}, {label}, {fault}", share(told)), flush=True)


def asked() -> list[Asked]:
    espeak, chance = Espeak(), random.Random(16)
    texts: list[tuple[str, str, str]] = []
    for number in range(64):
        language = LANGUAGES[number % 2]
        texts.append(("own voice", language, grammar_sentence(language, chance, held_out=True)))
    for language, words in WORDS.items():
        texts += [("one word", language, f"{word.capitalize()}.") for word in words.split()]
    made = [
        Asked(
            kind,
            Sentence(str(number), f"[S1] {text}", Path(), language=language),
            espeak.say(text, SPEAKING_VOICES[language]),
        )
        for number, (kind, language, text) in enumerate(texts)
    ]
    return made + [
        Asked("clip's voice", each, audio.decode(each.audio, SAMPLE_RATE))
        for each in judged("unheard")[::2][:48]
    ]


@cache
def judged(name: str) -> list[Sentence]:
    """Those of a set that the family is judged by."""
    sets = judge.build(Espeak(), Path(tempfile.mkdtemp()))
    return read_sentences(next(each for each in sets if each.parent.name == name))


def said(
    speaker: Speaker, wanted: Sequence[Asked], recogniser: Transcriber, seed: int, tries: int, best_of: int
) -> list[Heard]:
    """All of it, each voice's sentences together; what is short apart from what is long."""
    groups: dict[tuple[bool, VoiceClip | None], list[int]] = {}
    for index, each in enumerate(wanted):
        groups.setdefault((each.kind == "one word", each.sentence.voice), []).append(index)
    made = {}
    for (_, clip), indices in groups.items():
        texts = [wanted[index].sentence.text for index in indices]
        spoken = speaker.speak(texts, clip and voice_of(clip), seed, tries=tries, best_of=best_of)
        made.update(zip(indices, spoken, strict=True))
    speeches = [made[index] for index in range(len(wanted))]
    silence = np.zeros(SAMPLE_RATE // 10, np.float32)
    waves = [audio.resample(each.waveform, each.sample_rate, SAMPLE_RATE) for each in speeches]
    waves = [wave if len(wave) else silence for wave in waves]
    reading = read_back(recogniser, [each.sentence for each in wanted], waves)
    kinds = [f"{each.kind} {each.sentence.language}" for each in wanted]
    found = sentence_retrieval(waves, [each.reference for each in wanted], groups=kinds)
    return [
        Heard(each, wave, speech.stopped, plain_words(text), errors.edits, rank == 1)
        for each, wave, speech, text, errors, rank in zip(
            wanted, waves, speeches, reading.heard, reading.errors, found.ranks, strict=True
        )
    ]


def garbled(each: Heard) -> bool | None:
    return each.edits >= len(wanted_words(each)) / 2 if each.asked.kind != "one word" else None


def cut_off(each: Heard) -> bool | None:
    words = wanted_words(each)
    return not set(words[-2:]) & set(each.words) if len(words) >= 4 else None


def too_much(each: Heard) -> bool | None:
    return len(each.words) >= 1.5 * len(wanted_words(each)) if each.asked.kind != "one word" else None


def another_word(each: Heard) -> bool | None:
    return not each.own if each.asked.kind == "one word" else None


def long_word(each: Heard) -> bool | None:
    return len(each.wave) > 2 * len(each.asked.reference) if each.asked.kind == "one word" else None


def clip_again(each: Heard) -> bool | None:
    if (clip := each.asked.sentence.voice) is None:
        return None
    own = set(plain_words(clip.text)) - set(wanted_words(each))
    return len(own & set(each.words)) >= max(2, len(own) / 2)


def too_fast(each: Heard) -> bool:
    return len(each.wave) < 0.6 * len(each.asked.reference)


def endless(each: Heard) -> bool:
    return not each.stopped


FAULTS = {
    "garbled": garbled,
    "cut off": cut_off,
    "too much": too_much,
    "one word, another is nearer": another_word,
    "one word, twice as long": long_word,
    "clip again": clip_again,
    "too fast": too_fast,
    "endless": endless,
}


def wanted_words(each: Heard) -> list[str]:
    return plain_words(each.asked.sentence.text)


def long_form(speaker: Speaker, name: str, seed: int) -> None:
    """In voices of the model's own, told by the first turn of each, and in those that two clips show."""
    clips = dict.fromkeys(each.voice for each in judged("heard") if each.language == "en" and each.voice)
    shown = {tag: voice_of(clip) for tag, clip in zip(TAGS, clips, strict=False)}
    chance = random.Random(3)
    text = " ".join(f"[{TAGS[n % 2]}] {grammar_sentence('en', chance)}" for n in range(TURNS))
    for label, voices in (("own voices", None), ("voices of clips", shown)):
        recital = speaker.stream(text, voices, seed, best_of=1)
        wave = audio.resample(np.concatenate(list(recital)), recital.sample_rate, SAMPLE_RATE)
        heard = f"steady, {name}, two speakers in {label}"
        print(row(heard, f"{TURNS} turns in {len(wave) / SAMPLE_RATE:.0f} s"))
        report(heard, recital, wave, shown if voices else {})


def report(label: str, recital: Recital, wave: Wave, shown: Mapping[str, Voice]) -> None:
    tell, cues = Voices(), recital.cues
    turns = [wave[round(cue.start_s * SAMPLE_RATE) : round(cue.end_s * SAMPLE_RATE)] for cue in cues]
    references = {tag: voice.audio for tag, voice in shown.items()} or dict(zip(TAGS, turns, strict=False))
    known = {tag: found for tag, each in references.items() if (found := tell.embedding(each)) is not None}
    first = 0 if shown else len(TAGS)
    pairs = list(zip(cues, turns, strict=True))[first:]
    print(
        row(
            f"{label}, turns in the right voice",
            share([tell.nearest(t, known) == c.speaker for c, t in pairs]),
        )
    )
    found = [tell.embedding(turn) for turn in turns]
    for what, values in likeness(cues, found).items():
        print(row(f"{label}, similarity {what}", spread(values)))
    for what, values in jumps(cues, turns, recital.seams).items():
        print(row(f"{label}, {what}", spread(values)), flush=True)


def likeness(cues: Sequence[Cue], found: Sequence[np.ndarray | None]) -> dict[str, list[float]]:
    """Cosines of each turn with the mean of its speaker's other turns, and with that of the other speaker's."""
    known = [(cue.speaker, each) for cue, each in zip(cues, found, strict=True) if each is not None]
    values: dict[str, list[float]] = {"to himself": [], "to the other": []}
    for number, (speaker, own) in enumerate(known):
        same = [e for n, (who, e) in enumerate(known) if who == speaker and n != number]
        other = [e for who, e in known if who != speaker]
        for what, others in (("to himself", same), ("to the other", other)):
            if others:
                mean = np.mean(others, axis=0)
                values[what].append(float(own @ mean / np.linalg.norm(mean)))
    return values


def jumps(cues: Sequence[Cue], turns: Sequence[Wave], seams: Sequence[float]) -> dict[str, list[float]]:
    """From one turn to the next, at seams and within pieces: the jump of level in dB and the distance of mel spectra."""
    values: dict[str, list[float]] = {}
    for before, after, last, first in zip(cues, cues[1:], turns, turns[1:], strict=False):
        where = (
            "at seams" if any(before.end_s <= seam <= after.start_s for seam in seams) else "within pieces"
        )
        if min(len(last), len(first)) < SAMPLE_RATE // 10:
            continue
        tail, head = last[-SAMPLE_RATE // 2 :], first[: SAMPLE_RATE // 2]
        levels = [audio.speech_level(part, SAMPLE_RATE) for part in (tail, head)]
        if -math.inf in levels:
            continue
        spectra = [log_mel(part).mean(axis=0) for part in (tail, head)]
        distance = float(np.sqrt(np.mean((spectra[0] - spectra[1] - (levels[0] - levels[1])) ** 2)))
        values.setdefault(f"jump of level {where}, dB", []).append(abs(levels[0] - levels[1]))
        values.setdefault(f"distance of spectra {where}, dB", []).append(distance)
    return values


def voice_of(clip: VoiceClip) -> Voice:
    return Voice(audio.decode(clip.audio, SAMPLE_RATE, clip.start, clip.end), SAMPLE_RATE, clip.text)


def share(told: Sequence[bool]) -> str:
    """With the 95 % interval of Wilson 1927."""
    count, size, z = sum(told), len(told), 1.96
    middle = (count + z * z / 2) / (size + z * z)
    half = z / (size + z * z) * math.sqrt(count * (size - count) / size + z * z / 4)
    return f"{count / size:.1%} ({max(0.0, middle - half):.1%} to {min(1.0, middle + half):.1%}), {count} of {size}"


def spread(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return f"median {middle:.2f}, 10 to 90 % {low:.2f} to {high:.2f} ({len(values)})"


if __name__ == "__main__":
    main()
