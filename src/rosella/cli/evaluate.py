"""`rosella evaluate`: let a model speak the sentences of a manifest, score it, and draw a report."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rosella.cli.speak import BlockSize, Passes, blocks_of
from rosella.numbers import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rosella.evaluate.sentences import Sentence
    from rosella.evaluate.speaking import ModelEvaluation, Yardstick
    from rosella.inference.settings import Blocks
    from rosella.speak import Speaker


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    model: Annotated[str, typer.Option(help="mini, a model directory, or a hub name.")],
    sentences: Annotated[
        Path, typer.Option(help="JSON Lines: audio, text, speaker, language, voice; see docs/evaluation.md.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where scores, audio and report go.")] = Path(
        "runs/evaluate"
    ),
    recogniser: Annotated[
        str | None, typer.Option(help="Reads the speech back: a directory, or a Whisper on the hub.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How often each sentence is said.")] = 3,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Limit of a clip (default: twice the longest reference).")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where another model was scored on the same sentences: side by side."
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "int8"], typer.Option(help="In which the model speaks, as in `speak`.")
    ] = "float32",
    blocks: BlockSize = None,
    passes: Passes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a model: is it understood, does it stop, is it in pace and in voice? With controls."""
    from rosella import speak
    from rosella.evaluate.reading import reader
    from rosella.evaluate.sentences import read_sentences
    from rosella.evaluate.speaking import measure_references, to_dict
    from rosella.report.facts import Story
    from rosella.report.speech import write_page

    wanted, at_once = read_sentences(sentences), blocks_of(blocks, passes)
    before = earlier(against, wanted) if against else None
    speaker = speak.load(model, precision=precision)
    transcriber = reader(recogniser) if recogniser else None
    yardstick = measure_references(wanted, speaker.codec, transcriber, recogniser or "")
    evaluation = score(model, speaker, yardstick, out, seed, max_seconds, seeds, at_once)
    write_page(Story(yardstick, evaluation, before), out / "report.html")
    if as_json:
        print(json.dumps(to_dict(evaluation), indent=1, ensure_ascii=False))
        return
    show(evaluation)
    print(f"The report is {out / 'report.html'}.")


def earlier(directory: Path, wanted: Sequence[Sentence]) -> ModelEvaluation:
    """The scores in a directory; UserError where they are of other sentences."""
    from rosella.errors import UserError
    from rosella.evaluate.speaking import load_evaluation

    found = load_evaluation(directory)
    if found.said != [(sentence.speaker, sentence.text) for sentence in wanted if sentence.speak]:
        raise UserError(
            f"{directory} holds scores of other sentences: score that model on these first, with -o {directory}."
        )
    return found


def score(
    name: str,
    speaker: Speaker,
    yardstick: Yardstick,
    out: Path,
    seed: int,
    max_seconds: float | None = None,
    seeds: int = 1,
    blocks: Blocks | None = None,
) -> ModelEvaluation:
    """Speak and score with progress on standard error, and keep everything in `out`."""
    from rosella.cli.progress import progress
    from rosella.evaluate.speaking import evaluate_model, save_evaluation

    with redirect_stdout(sys.stderr), progress("speaking", seeds * len(yardstick.spoken)) as update:
        evaluation = evaluate_model(name, speaker, yardstick, seed, max_seconds, update, seeds, blocks)
    save_evaluation(evaluation, out)
    return evaluation


def show(evaluation: ModelEvaluation) -> None:
    """The scores and their controls as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    from rosella.measures import CONTROLS, SPEECH

    table, summary = Table("score", "value", "95 % interval", box=None), evaluation.summary
    for measure in SPEECH:
        within = evaluation.intervals.get(measure.key)
        table.add_row(measure.name, measure.shown(summary.get(measure.key)), measure.between(within))
    for key, name in CONTROLS.items():
        if key in summary:
            table.add_row(f"  control: {name}", percent(summary[key]))
    Console().print(table)
    if "recogniser" in (facts := evaluation.facts):
        print(f"Read back by {facts['recogniser']} ({facts['recogniser_version']}); {facts['normaliser']}.")
