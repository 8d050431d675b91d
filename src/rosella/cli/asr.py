"""`rosella asr`: teach a recogniser to write down what was really said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rosella.errors import INTERRUPTED
from rosella.shown import shown

SHOWN = 5


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(help="Teach a recogniser to write down what was really said.", no_args_is_help=True)
    for verb in (prepare, train, evaluate):
        verbs.command(verb.__name__)(verb)
    app.add_typer(verbs, name="asr")


def prepare(
    source: Annotated[
        Path,
        typer.Argument(help="CGN as delivered, ELAN or Praat files, or what `corpus add` reads."),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the examples and their report.")],
    max_seconds: Annotated[
        float, typer.Option(min=1.0, max=30.0, help="Longest example: at most the recogniser's window.")
    ] = 30.0,
    language: Annotated[
        str | None, typer.Option(help="Language of recordings whose source names none, such as nl.")
    ] = None,
    notation: Annotated[
        Path | None, typer.Option(help="YAML file with the source's codes and events; see docs/asr.md.")
    ] = None,
    clean: Annotated[
        bool, typer.Option(help="Clean the verbatim transcript by rules where the source has no clean one.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn annotated speech into training examples, with a report of rules, counts and rejects."""
    from rosella.asr.prepare.run import Preparation, silent
    from rosella.asr.prepare.run import prepare as run
    from rosella.cli.progress import progress
    from rosella.corpus.segment import Cutting

    how = Preparation(Cutting(max_seconds=max_seconds), language, clean, notation)
    report = run(source, out, how, silent if as_json else progress)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    for split, counts in report["splits"].items():
        typer.echo(f"{split}: {counts['examples']} examples, {counts['hours'] * 60:.1f} minutes")
    rejected = sum(reason["spans"] for reason in report["reject_reasons"].values())
    typer.echo(
        f"{rejected} spans rejected, {report['recordings']['failed']} recordings failed: see {out / 'report.md'}"
    )
    for failure in report["failed"][:SHOWN]:
        typer.echo(shown(f"failed: {failure['recording']}: {failure['reason']}"))


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see recipes/asr-*.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory (default: runs/<recipe>).")] = None,
) -> None:
    """Train a recogniser; the same command again continues an interrupted run."""
    from rosella.asr.recipe import AsrRecipe
    from rosella.asr.run import AsrRun
    from rosella.asr.train import train as train_recogniser
    from rosella.cli.progress import progress, training_report
    from rosella.recipes import load_recipe

    chosen = load_recipe(AsrRecipe, recipe, overrides or [])
    with AsrRun.locked(run or Path("runs") / recipe.stem) as directory:
        directory.check(chosen)
        if directory.finished(chosen.steps):
            typer.echo(f"Already done: {chosen.steps} steps; the recogniser is in {directory.model}.")
            return
        with progress("training", chosen.steps) as update:
            report = training_report(
                update,
                validation=lambda values: f"WER {values['wer']:.1%}",
                speed=lambda values: f"{values['examples_per_second']:.1f} examples/s",
            )
            outcome = train_recogniser(chosen, directory, report)
    if not outcome.finished:
        typer.echo(f"Saved at step {outcome.step} of {chosen.steps}.", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"Trained {outcome.step} steps; the recogniser is in {directory.model}.")


def evaluate(
    examples: Annotated[Path, typer.Argument(help="Examples directory, made with `asr prepare`.")],
    model: Annotated[str, typer.Option(help="A recogniser's directory, or a Whisper on the hub.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory for scores.json and a page with the worst examples.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    transcript: Annotated[
        str | None, typer.Option(help="verbatim or clean (default: verbatim if it writes that).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a recogniser: word errors, fillers, stutters, speakers, events, and what it makes of silence."""
    from rosella.asr.evaluate import evaluate as score
    from rosella.asr.evaluate import examples_with
    from rosella.asr.recogniser import Recogniser
    from rosella.cli.progress import progress
    from rosella.evaluate import recognition

    recogniser = Recogniser.load(model)
    kind, chosen = examples_with(examples, split, transcript, recogniser.kinds)
    if as_json:
        evaluation = score(recogniser, chosen, kind)
    else:
        with progress("transcribing", len(chosen)) as update:
            evaluation = score(recogniser, chosen, kind, lambda done: update(done, ""))
    if out is not None:
        evaluation.save(out)
        recognition.write_page(evaluation, {example.id: example for example in chosen}, out / "report.html")
    typer.echo(
        json.dumps(evaluation.scores(), ensure_ascii=False, indent=2)
        if as_json
        else recognition.table(evaluation)
    )
