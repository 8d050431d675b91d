"""A corpus of which it is known what is wrong: clips of the demo podcast's turns, with errors planted in their drafts.

As a recogniser and a diarizer make them: wrong, missing and added words, more in some clips than in others; words given to
the wrong speaker, in the text alone or by the diarizer too; boundaries that are off. Confidence and the second
transcript tell of it as far as they do in life. `Annotator` corrects clips in the time that people take.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from corpus.fakes import taken
from rosella import audio, mini
from rosella.annotate.edits import edits
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.corrections.clip import ACCEPTED, AnnotatedClip, ClipState
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.corpus.stage import DIARIZE, SEGMENT, TOKENIZE, TRANSCRIBE, StageResult
from rosella.corpus.steps.scan import source_of
from rosella.corpus.tagging import written
from rosella.records import Recording, Turn, Utterance, content_id, utterance_id

PODCAST = Path(mini.__file__).parent / "podcast"
RATE = 16_000
BETWEEN, WITHIN, MARGIN = 3.0, 0.25, 0.1
"""Seconds of silence between clips and between turns, and around the turns of an utterance."""

TYPICAL, SPREAD, OF_RECORDING, WORST = 0.05, 0.9, 0.4, 0.8
"""Share of wrong words: median over clips, how it varies (log-normally) by clip and by recording, and the most there is."""


@dataclass(frozen=True)
class Said:
    """A turn of the podcast."""

    path: Path
    language: str
    turn: Turn

    @property
    def seconds(self) -> float:
        return round(self.turn.end - self.turn.start, 3)


@dataclass
class Truth:
    """The right state of every clip, by id, in the order in which they stand in their recordings."""

    states: dict[str, ClipState] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    confidences: dict[str, float] = field(default_factory=dict)

    def errors(self, clip: AnnotatedClip) -> int:
        """Errors in the draft of a clip."""
        return edits(clip.draft, self.states[clip.id]).errors


@dataclass
class Annotator:
    """Somebody who hears a clip once, and where it is wrong again, and corrects it: `pace` times slower than most.

    Seconds for an error are those of finding and of typing it; who finds more to correct than to write writes afresh.
    """

    name: str
    pace: float = 1.0
    seed: int = 0
    opening: float = 0.5
    finding: float = 2.0
    letters: float = 4.0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, *self.name.encode()])

    def correct(self, clip: AnnotatedClip, truth: Truth) -> tuple[ClipState, float]:
        """The clip as it should be, and the seconds of work."""
        right = replace(truth.states[clip.id], verdict=ACCEPTED)
        found = edits(clip.draft, right)
        length = clip.draft.end - clip.draft.start
        words = found.substituted + found.inserted + found.deleted
        fixes = self.finding * (found.errors + found.times) + 5 * words / self.letters
        listening = self.rng.uniform(1.0, 1.2) * length + self.opening
        again = length if found.errors + found.times else 0.0
        afresh = length + sum(len(turn.text) for turn in right.turns) / self.letters
        noise = math.exp(self.rng.normal(0.0, 0.2))
        return right, listening + self.pace * noise * min(again + fixes, afresh)


def plant(
    catalogue: Catalogue,
    clips: int = 300,
    recordings: int = 10,
    seed: int = 0,
    informative: bool = True,
    sound: Path | None = None,
) -> Truth:
    """Put recordings with their drafts into a catalogue; with `sound`, a folder, their audio too.

    Unless `informative`, a clip has the confidence and the clean transcript's errors of another.
    """
    rng = np.random.default_rng(seed)
    truth, said = Truth(), sorted(_podcast(), key=lambda said: str(said.path))
    rates = [_rates(rng, len(share)) for share in np.array_split(np.arange(clips), recordings)]
    told = np.concatenate(rates) if informative else rng.permutation(np.concatenate(rates))
    bounds = np.cumsum([0, *map(len, rates)])
    for number, (low, high) in enumerate(pairwise(bounds)):
        _plant_recording(catalogue, number, said, rates[number], told[low:high], truth, rng, sound)
    return truth


def _podcast() -> Iterator[Said]:
    for name in ("manifest.jsonl", "said.jsonl"):
        for line in (PODCAST / name).read_text("utf-8").splitlines():
            recording = json.loads(line)
            for turn in recording["turns"]:
                yield Said(PODCAST / recording["audio"], recording["language"], Turn.from_dict(turn))


def _rates(rng: np.random.Generator, clips: int) -> np.ndarray:
    level = TYPICAL * np.exp(rng.normal(0, OF_RECORDING))
    return np.minimum(level * np.exp(rng.normal(0, SPREAD, clips)), WORST)


def _plant_recording(
    catalogue: Catalogue,
    number: int,
    said: Sequence[Said],
    rates: np.ndarray,
    told: np.ndarray,
    truth: Truth,
    rng: np.random.Generator,
    sound: Path | None,
) -> None:
    talks = [_talk(said, rng) for _ in rates]
    starts = np.cumsum([1.0, *(sum(s.seconds + WITHIN for s in talk) + BETWEEN for talk in talks)])
    path, id = _sound(talks, starts, number, sound)
    language, duration = said[0].language, round(float(starts[-1]), 3)
    recording = Recording(id, path, duration, RATE, 1, show="podcast", language=language)
    utterances: list[Utterance] = []
    heard: list[Turn] = []
    for talk, start, rate, known in zip(talks, starts, rates, told, strict=False):
        right = _right(talk, float(start))
        drafted, turns = _draft(recording, right, said, rate, known, rng)
        utterances.append(drafted)
        heard += turns
        truth.states[drafted.id] = ClipState(drafted.start, drafted.end, _joined(right))
        truth.rates[drafted.id], truth.confidences[drafted.id] = rate, drafted.confidence or 0.0
    catalogue.add(recording, source_of(path) if sound else Source(path, 1, 1), [])
    results = {
        DIARIZE: StageResult(turns=heard),
        SEGMENT: StageResult(utterances),
        TRANSCRIBE: StageResult(utterances),
        TOKENIZE: StageResult(),
    }
    for stage, result in results.items():
        catalogue.finish(taken(catalogue, id, stage), result)


def _talk(said: Sequence[Said], rng: np.random.Generator) -> list[Said]:
    return [said[i] for i in rng.choice(len(said), size=int(rng.integers(1, 6)), replace=False)]


def _sound(
    talks: Sequence[Sequence[Said]], starts: np.ndarray, number: int, folder: Path | None
) -> tuple[str, str]:
    """Path and id of a recording, and its file where there is a folder for it."""
    if folder is None:
        return f"/planted-{number}.wav", f"{number:032x}"
    wave = np.zeros(round(float(starts[-1]) * RATE), np.float32)
    for talk, start in zip(talks, starts, strict=False):
        for one, turn in zip(talk, _right(talk, float(start)), strict=True):
            piece = audio.decode(one.path, RATE, one.turn.start, one.turn.end)
            low = round(turn.start * RATE)
            wave[low : low + len(piece)] = piece[: len(wave) - low]
    path = folder / f"planted-{number}.wav"
    soundfile.write(path, wave, RATE)
    return str(path), content_id(path)


def _right(talk: Sequence[Said], start: float) -> tuple[Turn, ...]:
    turns = []
    for said in talk:
        end = round(start + said.seconds, 3)
        turns.append(replace(said.turn, start=round(start, 3), end=end))
        start = end + WITHIN
    return tuple(turns)


def _joined(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """One turn for what somebody says until another speaks, as drafts have it."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].speaker == turn.speaker:
            before = joined.pop()
            clean = f"{before.text_clean} {turn.text_clean}"
            turn = replace(before, end=turn.end, text=f"{before.text} {turn.text}", text_clean=clean)
        joined.append(turn)
    return tuple(joined)


def _draft(
    recording: Recording,
    right: Sequence[Turn],
    said: Sequence[Said],
    rate: float,
    told: float,
    rng: np.random.Generator,
) -> tuple[Utterance, list[Turn]]:
    """What a recogniser writes and what a diarizer hears, with planted errors."""
    start, end = round(right[0].start - MARGIN, 3), round(right[-1].end + MARGIN, 3)
    vocabulary = " ".join(one.turn.text for one in said).split()
    heard, names = _heard(right, said, rng)
    speakers = tuple(dict.fromkeys(names))
    texts = [_corrupted(turn.text, rate, vocabulary, rng) for turn in right]
    pieces = [(speakers.index(name), text) for name, text in zip(names, texts, strict=True) if text]
    text = written(pieces) or f"[S1] {vocabulary[0]}"
    ruled = remove_disfluencies(text, fillers(recording.language))
    clean = _corrupted(ruled, 0.4 * told, vocabulary, rng) or ruled
    confidence = -(0.01 + 0.45 * told) * math.exp(rng.normal(0, 0.5))
    utterance = Utterance(
        utterance_id(recording.id, start, end),
        recording.id,
        start,
        end,
        text,
        clean,
        speakers,
        speakers[0],
        recording.language,
        round(confidence, 4),
        transcript_source="model",
    )
    return utterance, heard


def _heard(
    right: Sequence[Turn], said: Sequence[Said], rng: np.random.Generator
) -> tuple[list[Turn], list[str]]:
    """The diarizer's turns, without words, and whom the recogniser names for each of the right ones."""
    everybody = sorted({one.turn.speaker for one in said})
    heard = [replace(turn, text="", text_clean=None) for turn in right]
    names = [turn.speaker for turn in right]
    if rng.random() < 0.12:
        wrong = int(rng.integers(len(right)))
        names[wrong] = next(name for name in everybody if name != names[wrong])
        if rng.random() < 0.5:
            heard[wrong] = replace(heard[wrong], speaker=names[wrong])
    if len(right) > 1 and rng.random() < 0.1:
        at, off = int(rng.integers(1, len(right))), float(rng.uniform(0.2, 0.4))
        heard[at - 1] = replace(heard[at - 1], end=round(heard[at - 1].end - off, 3))
    return heard, names


def _corrupted(text: str, rate: float, vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """The text with so many of its words exchanged, left out or followed by another; tags stay."""
    words: list[str] = []
    for word in text.split():
        if word.startswith("[S") or rng.random() >= rate:
            words.append(word)
            continue
        kind = rng.choice(3, p=[0.6, 0.2, 0.2])
        other = vocabulary[int(rng.integers(len(vocabulary)))]
        words += [[other], [], [word, other]][kind]
    return " ".join(words)
