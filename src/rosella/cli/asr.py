"""`rosella asr`: teach a recogniser to write down what was really said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

SHOWN = 5


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(help="Teach a recogniser to write down what was really said.", no_args_is_help=True)
    verbs.command("prepare")(prepare)
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
        typer.echo(f"failed: {failure['recording']}: {failure['reason']}")
