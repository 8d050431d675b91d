"""`asr prepare`: a source of annotated speech becomes a directory of examples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from rosella.asr.examples import Example, Split, write_examples
from rosella.asr.prepare.annotated import Annotated
from rosella.asr.prepare.cutting import Heard, cut
from rosella.asr.prepare.formats import recognise
from rosella.asr.prepare.notation import Notation, Tally, load_notation
from rosella.asr.prepare.report import MARKDOWN, Log, markdown, report, rules
from rosella.audio import probe
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.corpus.export.where import Condition
from rosella.corpus.steps.segment import Cutting
from rosella.errors import UserError
from rosella.files import write_text
from rosella.progress import Progress, ShowProgress
from rosella.records import Reject, Turn, Utterance, fraction

HELD_OUT = 0.05
"""Share of the recordings in `validation`, and again in `test`."""


@dataclass(frozen=True)
class Preparation:
    """How to prepare. `language` is that of recordings whose source names none; `clean` adds clean transcripts by rule.

    `where` chooses utterances of a corpus directory.
    """

    cutting: Cutting = field(default_factory=Cutting)
    language: str | None = None
    clean: bool = True
    notation: Path | None = None
    where: tuple[Condition, ...] = ()


def prepare(source: Path, out: Path, how: Preparation, show: ShowProgress) -> dict[str, Any]:
    """Write the examples of `source` and their report into `out`; returns the report.

    A recording that cannot be used is left out and named in the report; a UserError when none can.
    """
    format = recognise(source, how.where)
    notation = load_notation(how.notation, format.notation) if how.notation else format.notation
    recordings = format.recordings(notation)
    with show("preparing", len(recordings)) as progress:
        examples, log = _collect(recordings, notation, how, progress)
    if not examples:
        raise UserError(_nothing(source, len(recordings), log))
    said = rules(notation, how.cutting, how.clean)
    values = report(str(source), format.name, said, len(recordings), examples, log)
    write_examples(out, examples, values)
    write_text(out / MARKDOWN, markdown(values))
    return values


def _collect(
    recordings: Sequence[Annotated], notation: Notation, how: Preparation, progress: Progress
) -> tuple[list[Example], Log]:
    log = Log()
    cuts: dict[str, tuple[Path, list[Utterance]]] = {}
    for number, recording in enumerate(recordings, 1):
        try:
            cuts[recording.name] = _cut(recording, notation, how, log)
        except UserError as error:
            log.failed.append((recording.name, str(error).rstrip(".")))
        progress(number, recording.name)
    splits = assign_splits([name for name, (_, utterances) in cuts.items() if utterances])
    examples = [
        _example(utterance, audio, splits[name])
        for name, (audio, utterances) in cuts.items()
        for utterance in utterances
    ]
    return examples, log


def _cut(
    recording: Annotated, notation: Notation, how: Preparation, log: Log
) -> tuple[Path, list[Utterance]]:
    applied = Tally()
    audio, turns = recording.read(applied)
    language = recording.language or how.language
    info = probe(audio)
    if info.channel is not None:
        raise UserError("its channels cancel each other: save one of them as a file of its own")
    gone = (notation.fillers or fillers(language)) if how.clean else None
    if recording.cut:
        utterances, rejects = _fitting(recording.cut, how.cutting.max_seconds, gone)
    else:
        heard = [_heard(turn, notation, gone, applied) for turn in turns]
        wordy = [one for one in heard if one.turn.text or one.fault]
        applied["turns without words"] += len(heard) - len(wordy)
        utterances, rejects = cut(recording.name, wordy, info.duration, language, how.cutting)
    log.applied += applied
    log.rejects += [(recording.name, reject) for reject in rejects]
    return audio, utterances


def _fitting(
    utterances: Sequence[Utterance], longest: float, gone: Collection[str] | None
) -> tuple[list[Utterance], list[Reject]]:
    """Those that last no longer than `longest` seconds, with clean texts."""
    fitting: list[Utterance] = []
    rejects: list[Reject] = []
    for utterance in utterances:
        if utterance.end - utterance.start > longest:
            rejects.append(Reject(utterance.start, utterance.end, f"longer than {longest:g} s"))
        else:
            fitting.append(
                replace(utterance, text_clean=_tidy(utterance.text, utterance.text_clean, gone) or None)
            )
    return fitting, rejects


def _tidy(said: str, clean: str | None, gone: Collection[str] | None) -> str | None:
    """The clean text: the source's own, or the verbatim without `gone`."""
    return clean if clean is not None or gone is None else remove_disfluencies(said, gone)


def _heard(turn: Turn, notation: Notation, gone: Collection[str] | None, applied: Tally) -> Heard:
    """The turn in verbatim notation, with its clean text."""
    try:
        said = notation.verbatim(turn.text, applied)
    except UserError as error:
        return Heard(turn, str(error).rstrip("."))
    return Heard(replace(turn, text=said, text_clean=_tidy(said, turn.text_clean, gone)))


def _example(utterance: Utterance, audio: Path, split: Split) -> Example:
    return Example(
        id=utterance.id,
        audio=audio,
        start=utterance.start,
        end=utterance.end,
        text=utterance.text,
        text_clean=utterance.text_clean,
        speakers=utterance.speakers,
        language=utterance.language,
        split=split,
    )


def assign_splits(names: Sequence[str]) -> dict[str, Split]:
    """Recording -> split, by the hash of its name, so that it keeps its side when others come.

    Of two recordings or more at least one is for validation, of three or more one for the test.
    """
    ranked = sorted(names, key=fraction)
    shares = [fraction(name) for name in ranked]
    validation = max(sum(share < HELD_OUT for share in shares), min(1, len(names) // 2))
    test = max(sum(HELD_OUT <= share < 2 * HELD_OUT for share in shares), min(1, len(names) // 3))
    validation = min(validation, max(len(names) - test - 1, 0))
    held_out: list[Split] = [*repeat("validation", validation), *repeat("test", test)]
    splits: dict[str, Split] = dict.fromkeys(names, "train")
    return splits | dict(zip(ranked, held_out, strict=False))


def _nothing(source: Path, recordings: int, log: Log) -> str:
    if not recordings:
        return f"{source} lists no recordings: check that its annotations are there."
    if log.failed:
        name, reason = log.failed[0]
        return f"None of the {recordings} recordings of {source} can be used. The first, {name}: {reason}."
    reasons = Tally(reject.reason for _, reject in log.rejects).most_common(1)
    most = f"most spans were rejected as {reasons[0][0]}" if reasons else "no turn holds any words"
    return f"No example could be cut from {source}: {most}."
