"""The scores of a recogniser as a page with the worst examples to listen to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from html import escape
from pathlib import Path
from typing import Any

from rosella import audio
from rosella.asr.evaluation import RecogniserEvaluation, Row
from rosella.asr.examples import Example
from rosella.files import write_text
from rosella.measures import RECOGNITION
from rosella.numbers import percent
from rosella.report.page import Html, element, join, paragraph, player, render, section, table

WORST = 20
"""Examples that the page plays."""


def write_page(evaluation: RecogniserEvaluation, examples: Mapping[str, Example], path: Path) -> None:
    """One self-contained HTML page."""
    worst = sorted(evaluation.rows, key=lambda row: (-row.wer, row.id))[:WORST]
    parts = [
        section("Scores", table(["score", "value"], [*summary_rows(evaluation)])),
        section("Without speech", paragraph(_WITHOUT), table(_NOISE_COLUMNS, _noise(evaluation))),
        *(section(title.capitalize(), _group(scores)) for title, scores in evaluation.groups.items()),
        section("Worst examples", paragraph(_WORST), *(_listen(row, examples[row.id]) for row in worst)),
    ]
    write_text(path, render(f"Recogniser: {evaluation.kind} transcripts", parts))


_WITHOUT = (
    "The audio of test examples replaced by what holds no speech: a recogniser that listens writes nothing."
)
_COLUMNS = {"examples": "examples", "words": "words"} | {m.key: m.short for m in RECOGNITION if m.short}
_NOISE_COLUMNS = ["instead of speech", "examples", "with text", "WER", "loops"]
_WORST = "Struck out: said and not written. Underlined: written and not said."


def _counts(evaluation: RecogniserEvaluation) -> dict[str, int]:
    return {
        "examples with a repeated phrase that was not said": evaluation.summary["loops"],
        "examples that compress like a loop": evaluation.summary["compressed"],
        "examples without a transcript": len(evaluation.rejects),
    }


def summary_rows(evaluation: RecogniserEvaluation) -> list[tuple[str, str]]:
    """The scores of the whole, by the names of the measures."""
    rates = [(measure.name, percent(evaluation.summary[measure.key], 1)) for measure in RECOGNITION]
    return [*rates, *((name, str(count)) for name, count in _counts(evaluation).items())]


def _noise(evaluation: RecogniserEvaluation) -> list[list[object]]:
    return [
        [name, scores["examples"], scores["with_text"], percent(scores["wer"], 1), scores["loops"]]
        for name, scores in evaluation.noise.items()
    ]


def _group(groups: Mapping[str, Mapping[str, Any]]) -> Html:
    rows = [
        [name, *(v if isinstance(v := scores[key], int) else percent(v, 1) for key in _COLUMNS)]
        for name, scores in groups.items()
    ]
    return table(["", *_COLUMNS.values()], rows)


def _listen(row: Row, example: Example) -> Html:
    wave = audio.decode(example.audio, 16_000, example.start, example.end)
    about = f"{row.id}, {row.seconds:.1f} s, word errors {percent(row.wer, 1)}, no speech {percent(row.no_speech, 1)}"
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
