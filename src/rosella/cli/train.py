"""`rosella train`: run a recipe, or continue the run it began; `rosella asr train` does it with another recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TextIO

import typer

from rosella import memory
from rosella.errors import INTERRUPTED
from rosella.progress import unread

if TYPE_CHECKING:
    from rosella.progress import Report
    from rosella.recipes import RunRecipe
    from rosella.runs import Run


class Outcome(Protocol):
    """Where a training ended; not `finished` means that it was asked to stop."""

    @property
    def step(self) -> int: ...
    @property
    def finished(self) -> bool: ...


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see the folder recipes.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory (default: runs/<recipe>).")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the run's page in a browser.")] = False,
) -> None:
    """Train a speaking model; the same command again continues an interrupted run."""
    from rosella.recipes import load_recipe
    from rosella.training.recipe import Recipe
    from rosella.training.run import TrainingRun

    loaded = load_recipe(Recipe, recipe, overrides or [])
    memory.keep()
    from rosella.training import hosts, train  # bring JAX, which a recipe that is refused does not need

    hosts.join()

    def learn(recipe: Recipe, run: TrainingRun, report: Report) -> Outcome:
        from rosella.evaluate.listening import listener
        from rosella.report.run import RunPage

        page = RunPage(in_browser) if show else RunPage()
        return train(recipe, run, report if run.writes() else unread, listener, [page])

    carry_out(
        loaded,
        TrainingRun,
        run or Path("runs") / recipe.stem,
        learn,
        "model",
        validation=lambda values: f"{values['loss']:.3f}",
        speed=lambda values: f"{values['frames_per_second']:.0f} frames/s",
    )


def in_browser(page: Path) -> None:
    """Open a page where there is a browser."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"There is no browser here; the run's page is {page}.")


def carry_out(
    recipe: RunRecipe,
    runs: type[Run],
    path: Path,
    learn: Callable[[Any, Any, Report], Outcome],
    what: str,
    validation: Callable[[dict[str, Any]], str],
    speed: Callable[[dict[str, Any]], str],
) -> None:
    """Learn in a run directory of a kind, with progress on the terminal; `what` is made there."""
    from rosella.cli.progress import progress, training_report

    with runs.locked(path) as run:
        run.check(recipe)
        if run.finished(recipe.steps):
            _say(run, f"Already done: {recipe.steps} steps; the {what} is in {run.model}.")
            return
        with progress("training", recipe.steps) as update:
            outcome = learn(recipe, run, training_report(update, validation, speed))
    if not outcome.finished:
        _say(run, f"Saved at step {outcome.step} of {recipe.steps}.", sys.stderr)
        raise typer.Exit(INTERRUPTED)
    _say(run, f"Trained {outcome.step} steps; the {what} is in {run.model}.")


def _say(run: Run, sentence: str, file: TextIO | None = None) -> None:
    """Once, however many processes share the run."""
    if run.writes():
        print(sentence, file=file)
