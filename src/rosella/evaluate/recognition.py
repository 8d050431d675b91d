"""The scores of a recogniser as a table for the terminal, and as a page with the worst examples to listen to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from html import escape
from pathlib import Path
from typing import Any

from rosella import audio
from rosella.asr.evaluate import Evaluation, Row
from rosella.asr.examples import Example
from rosella.evaluate.page import Html, element, join, paragraph, player, render, section
from rosella.evaluate.page import table as page_table

WORST = 20
"""Examples that the page plays."""

NAMES = {
    "wer": "word errors, tags and events included",
    "wer_plain": "word errors, words alone",
    "cer": "character errors, tags and events included",
    "cer_plain": "character errors, words alone",
    "cpwer": "word errors by speaker (cpWER)",
    "speaker_count_right": "right number of speakers",
    "filler_recall": "of the fillers said, so many were written",
    "filler_precision": "of the fillers written, so many were said",
    "stutter_recall": "of the stutters said, so many were written",
    "stutter_precision": "of the stutters written, so many were said",
    "event_f1": "events, both ways (F1)",
}
_GROUP_COLUMNS = {
    "examples": "examples",
    "words": "words",
    "wer": "word errors",
    "wer_plain": "words alone",
    "cpwer": "by speaker",
    "filler_recall": "fillers written",
}


def table(evaluation: Evaluation) -> str:
    """The scores as lines of text."""
    lines = [
        f"{evaluation.summary['examples']} examples, {evaluation.summary['words']} words, {evaluation.kind}"
    ]
    rows = _summary(evaluation)
    width = max(len(name) for name, _ in rows)
    lines += [f"  {name:<{width}}{value:>8}" for name, value in rows]
    for name, scores in evaluation.noise.items():
        lines.append(
            f"{name} instead of speech: {scores['with_text']} of {scores['examples']} have text, "
            f"WER {percent(scores['wer'])}"
        )
    return "\n".join(lines)


def write_page(evaluation: Evaluation, examples: Mapping[str, Example], path: Path) -> None:
    """One self-contained HTML page."""
    worst = sorted(evaluation.rows, key=lambda row: (-row.wer, row.id))[:WORST]
    parts = [
        section("Scores", page_table(["score", "value"], [*_summary(evaluation)])),
        section("Without speech", paragraph(_WITHOUT), page_table(_NOISE_COLUMNS, _noise(evaluation))),
        *(section(title.capitalize(), _group(scores)) for title, scores in evaluation.groups.items()),
        section("Worst examples", paragraph(_WORST), *(_listen(row, examples[row.id]) for row in worst)),
    ]
    path.write_text(render(f"Recogniser: {evaluation.kind} transcripts", parts), "utf-8")


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


_WITHOUT = (
    "The audio of test examples replaced by what holds no speech: a recogniser that listens writes nothing."
)
_NOISE_COLUMNS = ["instead of speech", "examples", "with text", "WER", "loops"]
_WORST = "Struck out: said and not written. Underlined: written and not said."


def _counts(evaluation: Evaluation) -> dict[str, int]:
    return {
        "examples with a repeated phrase that was not said": evaluation.summary["loops"],
        "examples that compress like a loop": evaluation.summary["compressed"],
        "examples without a transcript": len(evaluation.rejects),
    }


def _summary(evaluation: Evaluation) -> list[tuple[str, str]]:
    rates = [(name, percent(evaluation.summary[key])) for key, name in NAMES.items()]
    return [*rates, *((name, str(count)) for name, count in _counts(evaluation).items())]


def _noise(evaluation: Evaluation) -> list[list[object]]:
    return [
        [name, scores["examples"], scores["with_text"], percent(scores["wer"]), scores["loops"]]
        for name, scores in evaluation.noise.items()
    ]


def _group(groups: Mapping[str, Mapping[str, Any]]) -> Html:
    rows = [
        [name, *(v if isinstance(v := scores[key], int) else percent(v) for key in _GROUP_COLUMNS)]
        for name, scores in groups.items()
    ]
    return page_table(["", *_GROUP_COLUMNS.values()], rows)


def _listen(row: Row, example: Example) -> Html:
    wave = audio.decode(example.audio, 16_000, example.start, example.end)
    about = (
        f"{row.id}, {row.seconds:.1f} s, word errors {percent(row.wer)}, no speech {percent(row.no_speech)}"
    )
    return element("div", join([player(about, wave, 16_000), paragraph(_compared(row))]))


def _compared(row: Row) -> Html:
    """The words of both transcripts, one after the other, with their differences marked."""
    said, written = row.reference.split(), row.hypothesis.split()
    marked = []
    for _, a, b, c, d in SequenceMatcher(None, said, written, autojunk=False).get_opcodes():
        gone, new = " ".join(said[a:b]), " ".join(written[c:d])
        if gone == new:
            marked.append(escape(gone))
        else:
            marked += [f"<del>{escape(gone)}</del>"] * bool(gone) + [f"<ins>{escape(new)}</ins>"] * bool(new)
    return Html(" ".join(marked))
