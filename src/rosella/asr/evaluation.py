"""How well a recogniser writes down what was said, and what it makes of silence and noise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rosella.asr.examples import SPLITS, Example, read_examples
from rosella.asr.noise import noise
from rosella.asr.recogniser import Recogniser
from rosella.asr.scores import Pair, score, word_errors
from rosella.corpus.recogniser import Clip, Kind, Transcription
from rosella.corpus.steps.transcribe import REPETITIVE, Transcriber
from rosella.errors import UserError
from rosella.files import write_text
from rosella.progress import Progress, unheard

LENGTHS = (2.0, 5.0, 10.0, 20.0)
"""Bounds of the groups by length, seconds."""

NOISE = {"silence": None, "faint noise": -70.0, "noise": -30.0}
"""What takes the place of speech to catch a recogniser that recites, with its level in dBFS."""

NOISE_EXAMPLES = 100


@dataclass(frozen=True)
class Row:
    """An example with what was written; `wer` counts tags and events, `no_speech` and the others are confidences."""

    id: str
    speakers: tuple[str, ...]
    seconds: float
    reference: str
    hypothesis: str
    language: str | None
    wer: float
    log_probability: float
    no_speech: float
    compression: float


@dataclass(frozen=True)
class RecogniserEvaluation:
    """Scores of the whole, by group (`by speaker`, `by length`, ...) and with the audio replaced (`noise`)."""

    kind: Kind
    summary: dict[str, Any]
    groups: dict[str, dict[str, dict[str, Any]]]
    noise: dict[str, dict[str, Any]]
    rows: list[Row]
    rejects: dict[str, str]

    def scores(self) -> dict[str, Any]:
        """All but the examples."""
        return {name: value for name, value in asdict(self).items() if name != "rows"}

    def save(self, directory: Path) -> None:
        write_text(directory / "scores.json", json.dumps(asdict(self), ensure_ascii=False, indent=1))


def evaluate_recogniser(
    recogniser: Recogniser,
    examples: Sequence[Example],
    kind: Kind,
    progress: Progress = unheard,
) -> RecogniserEvaluation:
    """Transcribe examples and score them; `progress` hears how many are done."""
    transcriber, known = Transcriber({kind: recogniser}), _with_text(examples, kind)
    outcome = transcriber.transcribe(map(clip_of, known.values()), progress)
    rows = [_row(known[name], made, kind) for name, made in outcome.transcriptions.items()]
    summary = _summary(rows)
    summary["compressed"] = sum(row.compression > REPETITIVE for row in rows)
    spoken = list(known.values())
    recited = {name: _noise(transcriber, spoken, kind, level) for name, level in NOISE.items()}
    return RecogniserEvaluation(kind, summary, _groups(rows), recited, rows, outcome.rejects)


def examples_with(
    directory: Path, split: str, transcript: str | None, kinds: Sequence[Kind]
) -> tuple[Kind, list[Example]]:
    """The transcript to score, and the examples of a split that have it; UserError for what there is not."""
    if split not in SPLITS:
        raise UserError(f"There is no split {split!r}: use one of {', '.join(SPLITS)}.")
    wanted: list[Kind] = [kind for kind in kinds if transcript in (None, kind)]
    if not wanted:
        raise UserError(f"This recogniser writes no {transcript} transcripts: use {' or '.join(kinds)}.")
    kind = wanted[0]
    examples = list(_with_text(read_examples(directory, split), kind).values())
    if not examples:
        raise UserError(
            f"{directory} has no {kind} transcripts in the {split} split: name another with --split."
        )
    return kind, examples


def transcribe_examples(
    recogniser: Recogniser, examples: Sequence[Example], kind: Kind, batch_size: int | None = None
) -> dict[str, Pair]:
    """What was said and what the recogniser wrote, by id."""
    known = _with_text(examples, kind)
    outcome = Transcriber({kind: recogniser}, batch_size=batch_size).transcribe(map(clip_of, known.values()))
    return {
        name: Pair(text_of(known[name], kind), made.transcripts[kind].text, known[name].language)
        for name, made in outcome.transcriptions.items()
    }


def clip_of(example: Example) -> Clip:
    return Clip(example.id, example.audio, example.start, example.end, example.language)


def text_of(example: Example, kind: Kind) -> str:
    """The transcript of a kind, "" where the example has none."""
    return (example.text if kind == "verbatim" else example.text_clean) or ""


def _with_text(examples: Iterable[Example], kind: Kind) -> dict[str, Example]:
    return {example.id: example for example in examples if text_of(example, kind)}


def _row(example: Example, made: Transcription, kind: Kind) -> Row:
    written, said = made.transcripts[kind], text_of(example, kind)
    pair = Pair(said, written.text, example.language)
    return Row(
        example.id,
        example.speakers,
        example.seconds,
        said,
        written.text,
        example.language,
        word_errors(pair).rate or 0.0,
        written.log_probability,
        made.no_speech,
        written.compression,
    )


def _summary(rows: Iterable[Row]) -> dict[str, Any]:
    return score(Pair(row.reference, row.hypothesis, row.language) for row in rows).summary()


def _groups(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores by speaker (a dialogue counts for each of its speakers), length and language."""
    bounds = [0.0, *LENGTHS, np.inf]
    names = [
        f"{low:.0f} to {high:.0f} s" if high < np.inf else f"over {low:.0f} s"
        for low, high in pairwise(bounds)
    ]
    keys: dict[str, Callable[[Row], Iterable[str]]] = {
        "by speaker": lambda row: row.speakers,
        "by length": lambda row: [names[int(np.searchsorted(LENGTHS, row.seconds, "right"))]],
        "by language": lambda row: [row.language or "unknown"],
    }
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for title, key in keys.items():
        members: dict[str, list[Row]] = {}
        for row in rows:
            for name in set(key(row)):
                members.setdefault(name, []).append(row)
        order = names if title == "by length" else sorted(members)
        groups[title] = {name: _summary(members[name]) for name in order if name in members}
    return groups


def _noise(
    transcriber: Transcriber, examples: Sequence[Example], kind: Kind, level: float | None
) -> dict[str, Any]:
    """What is written where nothing is said: examples whose audio is silence or noise of the same length."""
    chance, pairs = np.random.default_rng(0), list[Pair]()
    some = examples[:: max(1, len(examples) // NOISE_EXAMPLES)][:NOISE_EXAMPLES]
    for start in range(0, len(some), transcriber.batch_size):
        batch = some[start : start + transcriber.batch_size]
        waves = [noise(example.seconds, level, chance) for example in batch]
        made = transcriber.write([clip_of(example) for example in batch], waves)
        pairs += [Pair(text_of(e, kind), made[e.id].transcripts[kind].text, e.language) for e in batch]
    scores = score(pairs)
    written = sum(bool(pair.hypothesis) for pair in pairs)
    return {"examples": len(pairs), "with_text": written, "wer": scores.words.rate, "loops": scores.loops}
