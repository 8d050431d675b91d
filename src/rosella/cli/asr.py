"""`rosella asr`: teach a recogniser to write down what was really said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.cli.train import carry_out
from rosella.numbers import percent
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.asr.evaluation import RecogniserEvaluation

SHOWN = 5


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(help="Teach a recogniser to write down what was really said.", no_args_is_help=True)
    for verb in (prepare, train, evaluate):
        verbs.command(verb.__name__)(verb)
    app.add_typer(verbs, name="asr")


def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            help="A corpus directory, CGN as delivered, ELAN or Praat files, or what `corpus add` reads."
        ),
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
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Of a corpus directory only what is so, such as transcript_source=human; may be repeated."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn annotated speech into training examples, with a report of rules, counts and rejects."""
    from rosella.asr.prepare.run import Preparation
    from rosella.asr.prepare.run import prepare as run
    from rosella.cli.progress import progress
    from rosella.corpus.export.where import Condition
    from rosella.corpus.steps.segment import Cutting
    from rosella.progress import unseen

    conditions = tuple(Condition.parse(written) for written in where or ())
    how = Preparation(Cutting(max_seconds=max_seconds), language, clean, notation, conditions)
    report = run(source, out, how, unseen if as_json else progress)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return
    for split, counts in report["splits"].items():
        print(f"{split}: {counts['examples']} examples, {counts['hours'] * 60:.1f} minutes")
    rejected = sum(reason["spans"] for reason in report["reject_reasons"].values())
    print(
        f"{rejected} spans rejected, {report['recordings']['failed']} recordings failed: see {out / 'report.md'}"
    )
    for failure in report["failed"][:SHOWN]:
        print(shown(f"failed: {failure['recording']}: {failure['reason']}"))


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see recipes/asr-*.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory (default: runs/<recipe>).")] = None,
) -> None:
    """Train a recogniser; the same command again continues an interrupted run."""
    from rosella.asr.recipe import AsrRecipe
    from rosella.asr.run import AsrRun
    from rosella.asr.train import train as learn
    from rosella.recipes import load_recipe

    carry_out(
        load_recipe(AsrRecipe, recipe, overrides or []),
        AsrRun,
        run or Path("runs") / recipe.stem,
        learn,
        "recogniser",
        validation=lambda values: f"WER {percent(values['wer'], 1)}",
        speed=lambda values: f"{values['examples_per_second']:.1f} examples/s",
    )


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
    from rosella.asr.evaluation import evaluate_recogniser, examples_with
    from rosella.asr.recogniser import Recogniser
    from rosella.cli.progress import progress
    from rosella.progress import unseen
    from rosella.report.recognition import write_page

    recogniser = Recogniser.load(model)
    kind, chosen = examples_with(examples, split, transcript, recogniser.kinds)
    with (unseen if as_json else progress)("transcribing", len(chosen)) as update:
        evaluation = evaluate_recogniser(recogniser, chosen, kind, update)
    if out is not None:
        evaluation.save(out)
        write_page(evaluation, {example.id: example for example in chosen}, out / "report.html")
    print(json.dumps(evaluation.scores(), ensure_ascii=False, indent=2) if as_json else table(evaluation))


def table(evaluation: RecogniserEvaluation) -> str:
    """The scores as lines of text."""
    from rosella.report.recognition import summary_rows

    summary, rows = evaluation.summary, summary_rows(evaluation)
    width = max(len(name) for name, _ in rows)
    lines = [f"{summary['examples']} examples, {summary['words']} words, {evaluation.kind}"]
    lines += [f"  {name:<{width}}{value:>8}" for name, value in rows]
    for name, scores in evaluation.noise.items():
        lines.append(
            f"{name} instead of speech: {scores['with_text']} of {scores['examples']} have text, "
            f"WER {percent(scores['wer'], 1)}"
        )
    return "\n".join(lines)
