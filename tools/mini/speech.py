"""Recordings of synthetic dialogue with their manifest: what the embedded models are trained and judged on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from mini.espeak import Espeak, Voice, noise
from mini.sentences import brief, grammar_sentence, listed_words, word_string
from rosella import audio

SAMPLE_RATE = 16_000
EXCHANGES = 80  # per recording
GRID = 320  # samples of a codec frame: turns begin on it, so that a sentence has the same codes wherever it stands
SYNTHETIC = {"licence": "Apache-2.0", "consent": "synthetic speech"}
SHIPPED_BITS = 24_000  # a second of Opus
APART = 2.1  # seconds between exchanges: more than the pause at which `corpus run` cuts

CODEC_LANGUAGES = ("en", "nl", "de")  # a codec is no language's; the speaking model learns the first two
CODEC_VOICES = """
m1 m2 m3 m4 m5 m6 m8 f1 f2 f3 f4 Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario
Michael Mike Storm adam anika announcer antonio aunty benjamin caleb david ed edward grandma grandpa gustave
ian iven iven2 john kaukovalta klatt klatt2 klatt4 linda marcelo max michel miguel norbert pablo paul quincy
rob robert sandro shelby steph travis victor zac
""".split()
UNHEARD_VOICES = """
m7 f5 Alex belinda boris Reed steph2 klatt3
""".split()
SPEAKING_VOICES = {"en": Voice("en+f2"), "nl": Voice("nl+m3")}  # the model's own, where no clip shows another
PARTNERS = {"en": Voice("en+m3"), "nl": Voice("nl+f2")}  # who answers them
RATES, PITCHES = (135, 185), (30, 70)  # of the others, which clips show
KINDS = {"alone": 30, "continued": 35, "dialogue": 35}  # percent of exchanges
OWN_DIALOGUE = 0.3  # of the dialogues, by the model's own voices
LONGER = 0.25  # of their turns, two sentences
BRIEF = 0.15  # of the turns, one or two words
STRINGS = 0.4  # of the sentences, word strings: what teaches spelling rather than sentences
LAUGHTER = 0.03  # of the turns
LONGEST_SENTENCE = 7  # words, of the first lessons
SEED = 77


@dataclass(frozen=True)
class Turn:
    """What a voice says; `spoken` is what espeak-ng is given where that differs from the transcript."""

    voice: Voice
    text: str
    spoken: str | None = None
    clean: str | None = None
    speaker: str | None = None


Exchange = Callable[[str, random.Random], list[Turn]]
"""Makes the turns of one exchange in a language."""


def codec_clips(
    espeak: Espeak, voices: Iterable[str], clips: int, heard: bool, seed: int
) -> Iterable[np.ndarray]:
    """`clips` sentences per voice and language at random rate and pitch, of words the codec does or does not train on."""
    chance = random.Random(seed)
    for variant in voices:
        for language in CODEC_LANGUAGES:
            words = listed_words(language, heard)
            for index in range(clips):
                voice = some_voice(language, variant, chance)
                text = (
                    grammar_sentence(language, chance)
                    if heard and index % 3 == 0
                    else word_string(words, chance)
                )
                wave = espeak.say(text, voice)
                yield wave + noise(len(wave), chance.getrandbits(32))


def speaking_recordings(
    espeak: Espeak, hours: float, folder: Path, exchange: Exchange, count: int = EXCHANGES
) -> Path:
    """Write recordings of `count` exchanges each, in English and Dutch by turns; returns their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds, lines = 0.0, []
    while seconds < hours * 3600:
        chance = random.Random(f"{SEED}-{len(lines)}")
        language = ("en", "nl")[len(lines) % 2]
        name = f"{language}-{len(lines):04d}.flac"
        exchanges = [exchange(language, chance) for _ in range(count)]
        turns, duration = write_recording(espeak, exchanges, folder / name, len(lines))
        seconds += duration
        about = {"show": f"show-{len(lines) % 25}", "language": language, **SYNTHETIC}
        lines.append({"audio": name, **about, "turns": turns})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def short_sentence(language: str, chance: random.Random) -> list[Turn]:
    """A sentence of few and seen words in the model's own voice, to learn its letters on."""
    while len((sentence := grammar_sentence(language, chance)).split()) > LONGEST_SENTENCE:
        pass
    return [Turn(SPEAKING_VOICES[language], sentence)]


def conversation(language: str, chance: random.Random) -> list[Turn]:
    """A sentence in the model's own voice, two or three by any voice, or a dialogue of two, of a sentence or two a turn."""
    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
    heard = [some_voice(language, variant, chance) for variant in chance.sample(CODEC_VOICES, 2)]
    if kind == "alone":
        voices = [SPEAKING_VOICES[language]]
    elif kind == "continued":
        voices = heard[:1] * chance.choice((2, 2, 3))
    else:
        own = chance.random() < OWN_DIALOGUE
        pair = (SPEAKING_VOICES[language], PARTNERS[language]) if own else heard
        turns = [pair[index % 2] for index in range(chance.choice((2, 3, 4, 6)))]
        voices = [voice for voice in turns for _ in range(1 + (chance.random() < LONGER))]
    return [_turn(voice, language, chance) for voice in voices]


def some_voice(language: str, variant: str, chance: random.Random) -> Voice:
    """A variant at a rate and a pitch of its own."""
    return Voice(f"{language}+{variant}", *(chance.randint(*span) for span in (RATES, PITCHES, PITCHES)))


def _turn(voice: Voice, language: str, chance: random.Random) -> Turn:
    if chance.random() < BRIEF:
        return Turn(voice, brief(language, listed_words(language, heard=True), chance))
    if chance.random() < STRINGS:
        text = word_string(listed_words(language, heard=True), chance)
    else:
        text = grammar_sentence(language, chance)
    if chance.random() < LAUGHTER:
        return Turn(voice, f"(laughs) {text}", f"ha ha ha. {text}")
    return Turn(voice, text)


def write_recording(
    espeak: Espeak, exchanges: list[list[Turn]], path: Path, seed: int
) -> tuple[list[dict], float]:
    """Speak exchanges into one file, pauses between them; returns the turns as a manifest lists them and the seconds."""
    chance = np.random.default_rng(seed)
    pieces, turns, now = [], [], 0
    for exchange in exchanges:
        for turn in exchange:
            wave = audio.normalise_loudness(espeak.say(turn.spoken or turn.text, turn.voice), SAMPLE_RATE)
            times = {"start": round(now / SAMPLE_RATE, 3), "end": round((now + len(wave)) / SAMPLE_RATE, 3)}
            turns.append({**times, "speaker": turn.speaker or speaker_name(turn.voice), "text": turn.text})
            if turn.clean is not None:
                turns[-1]["text_clean"] = turn.clean
            pause = int(chance.uniform(0.1, 0.3) * SAMPLE_RATE)
            pieces.append(np.pad(wave, (0, pause + -(len(wave) + pause) % GRID)))
            now += len(pieces[-1])
        pieces.append(np.zeros(int(APART * SAMPLE_RATE), np.float32))
        now += len(pieces[-1])
    wave = np.concatenate(pieces)
    save(path, wave + noise(len(wave), seed))
    return turns, now / SAMPLE_RATE


def write_sentences(espeak: Espeak, sentences: list[tuple[str, Voice]], path: Path) -> None:
    """Speak sentences one after the other, a fifth of a second apart, into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pause = np.zeros(SAMPLE_RATE // 5, np.float32)
    said = [audio.normalise_loudness(espeak.say(text, voice), SAMPLE_RATE) for text, voice in sentences]
    wave = np.concatenate([piece for one in said for piece in (pause, one)][1:])
    save(path, wave + noise(len(wave), len(wave)))


def save(path: Path, wave: np.ndarray) -> None:
    """As FLAC, or as an Opus file that is small rather than quickly heard."""
    if path.suffix != ".opus":
        audio.write(path, wave, SAMPLE_RATE)
        return
    with av.open(path, "w") as file:
        stream = file.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = SHIPPED_BITS
        frame = av.AudioFrame.from_ndarray(np.asarray(wave, np.float32)[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def speaker_name(voice: Voice) -> str:
    return f"{voice.name}-{voice.pitch}"
