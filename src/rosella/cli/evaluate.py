"""`rosella evaluate`: let a model speak the sentences of a manifest, score it, and draw a report."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rosella.corpus.transcribe import Transcriber
    from rosella.evaluate.scores import Evaluation, Yardstick


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
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Limit of a clip (default: twice the longest reference).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a model: is it understood, does it stop, is it in pace and in voice? With controls."""
    from rosella import speak
    from rosella.evaluate import report, scores
    from rosella.evaluate.sentences import read_sentences
    from rosella.evaluate.story import Story

    wanted = read_sentences(sentences)
    speaker = speak.load(model)
    transcriber = reader(recogniser) if recogniser else None
    yardstick = scores.prepare(wanted, speaker.codec, transcriber)
    evaluation = score(model, speaker, yardstick, out, seed, max_seconds)
    report.write(out / "report.html", Story(yardstick, evaluation))
    if as_json:
        typer.echo(json.dumps(scores.to_dict(evaluation), indent=1, ensure_ascii=False))
        return
    show(evaluation)
    typer.echo(f"The report is {out / 'report.html'}.")


def reader(recogniser: str) -> Transcriber:
    """What writes down every word that is said, fillers included, if the recogniser can."""
    from rosella.asr.recogniser import Recogniser
    from rosella.corpus.transcribe import Transcriber

    loaded = Recogniser.load(recogniser)
    return Transcriber({loaded.kinds[0]: loaded})


def score(
    name: str, speaker, yardstick: Yardstick, out: Path, seed: int, max_seconds: float | None = None
) -> Evaluation:
    """Speak and score with progress on standard error, and keep everything in `out`."""
    from rosella.cli.progress import progress
    from rosella.evaluate import scores

    done = 0
    with redirect_stdout(sys.stderr), progress("speaking", len(yardstick.spoken)) as update:

        def count(clips: int) -> None:
            nonlocal done
            done += clips
            update(done, "")

        evaluation = scores.evaluate(name, speaker, yardstick, seed, max_seconds, count)
    scores.save(evaluation, out)
    return evaluation


def show(evaluation: Evaluation) -> None:
    """The scores and their controls as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    from rosella.evaluate.report import SCORES, show_value

    table = Table("score", "value", box=None)
    for item in SCORES:
        table.add_row(item.name, show_value(item, evaluation.summary.get(item.key)))
    summary = evaluation.summary
    table.add_row("  control: round trip of the references", f"{summary['retrieval_round_trip']:.0%}")
    table.add_row("  control: shuffled text", f"{summary['retrieval_shuffled_text']:.0%}")
    table.add_row("  control: guessing", f"{summary['retrieval_chance']:.0%}")
    if "wer_round_trip" in summary:
        table.add_row("  control: word errors on the round trip", f"{summary['wer_round_trip']:.0%}")
    Console().print(table)
