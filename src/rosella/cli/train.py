"""`rosella train`: run a recipe, or continue the run it began."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.errors import INTERRUPTED

if TYPE_CHECKING:
    from rosella.training import Outcome, Recipe, TrainingRun


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see the folder recipes.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory (default: runs/<recipe>).")] = None,
) -> None:
    """Train a speaking model; the same command again continues an interrupted run."""
    from rosella.recipes import load_recipe
    from rosella.training.recipe import Recipe
    from rosella.training.run import TrainingRun

    chosen = load_recipe(Recipe, recipe, overrides or [])
    with TrainingRun.locked(run or Path("runs") / recipe.stem) as directory:
        directory.check(chosen)
        if directory.finished(chosen.steps):
            print(f"Already done: {chosen.steps} steps; the model is in {directory.model}.")
            return
        outcome = run_recipe(chosen, directory)
    if not outcome.finished:
        print(f"Saved at step {outcome.step} of {chosen.steps}.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    print(f"Trained {outcome.step} steps; the model is in {directory.model}.")


def run_recipe(recipe: Recipe, run: TrainingRun) -> Outcome:
    """Train in a locked run directory, with progress on the terminal."""
    from rosella import training
    from rosella.cli.progress import progress, training_report

    with progress("training", recipe.steps) as update:
        report = training_report(
            update,
            validation=lambda values: f"{values['loss']:.3f}",
            speed=lambda values: f"{values['frames_per_second']:.0f} frames/s",
        )
        return training.train(recipe, run, report)
