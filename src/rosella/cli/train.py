"""`rosella train`: run a recipe, or continue the run it began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.errors import INTERRUPTED

if TYPE_CHECKING:
    from rosella.codec import Codec
    from rosella.model.config import DiaConfig
    from rosella.model.transformer import Dia
    from rosella.training.directory import RunDirectory
    from rosella.training.loop import Outcome
    from rosella.training.recipe import ModelRecipe, Recipe


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe; see the folder recipes.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory (default: runs/<recipe>).")] = None,
) -> None:
    """Train a speaking model; the same command again continues an interrupted run."""
    from rosella.recipes import load_recipe
    from rosella.training.directory import RunDirectory
    from rosella.training.recipe import Recipe

    chosen = load_recipe(Recipe, recipe, overrides or [])
    with RunDirectory.locked(run or Path("runs") / recipe.stem) as directory:
        directory.check(chosen)
        if directory.finished(chosen.steps):
            typer.echo(f"Already done: {chosen.steps} steps; the model is in {directory.model}.")
            return
        outcome = run_recipe(chosen, directory)
    if not outcome.finished:
        typer.echo(f"Saved at step {outcome.step} of {chosen.steps}.", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"Trained {outcome.step} steps; the model is in {directory.model}.")


def run_recipe(recipe: Recipe, run: RunDirectory) -> Outcome:
    """Train in a locked run directory with progress on the terminal; `model/` is written at the end."""
    from rosella.cli.progress import progress, training_report
    from rosella.codec import load_codec
    from rosella.convert.checkpoint import save_model
    from rosella.corpus.shards import Export
    from rosella.training.loop import train as train_model

    model, config = start_model(recipe.model, recipe.seed)
    config = replace(config, codec=recipe.codec or config.codec)
    codec = load_codec(config.codec)
    export = Export.open(recipe.data.export, codec.fingerprint)
    with progress("training", recipe.steps) as update:
        report = training_report(
            update,
            validation=lambda values: f"{values['loss']:.3f}",
            speed=lambda values: f"{values['frames_per_second']:.0f} frames/s",
        )
        outcome = train_model(recipe, model, config, export, run, report, _sampler(recipe, run, codec))
    if outcome.finished:
        with run.new_model(outcome.step) as directory:
            save_model(directory, outcome.model, config)
    return outcome


def start_model(recipe: ModelRecipe, seed: int) -> tuple[Dia, DiaConfig]:
    """The model a recipe starts from: loaded weights, or random ones of a preset with overrides."""
    from rosella.convert.checkpoint import load_model
    from rosella.model.config import preset
    from rosella.training.state import initial_model

    if recipe.weights is not None:
        return load_model(recipe.weights)
    config = preset(recipe.preset or "mini", recipe.overrides)
    return initial_model(config, seed), config


def _sampler(recipe: Recipe, run: RunDirectory, codec: Codec) -> Callable[[Dia, DiaConfig, int], None]:
    def sample(model: Dia, config: DiaConfig, step: int) -> None:
        from rosella import audio
        from rosella.speak import Speaker

        run.samples.mkdir(exist_ok=True)
        speeches = Speaker(model, config, codec).speak(
            recipe.samples.texts, max_seconds=recipe.samples.max_seconds
        )
        for number, speech in enumerate(speeches):
            if len(speech.waveform):
                audio.write(run.samples / f"{step:08d}-{number}.wav", speech.waveform, speech.sample_rate)

    return sample
