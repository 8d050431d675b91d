"""`rosella codec train | evaluate`: a codec for your own domain, and how good a codec is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.numbers import percent
from rosella.shown import shown

if TYPE_CHECKING:
    import numpy as np

Audio = Annotated[list[Path], typer.Argument(help="Audio files, or folders searched for them.")]


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(help="Train and judge the mel codec.", no_args_is_help=True)
    verbs.command("train")(train)
    verbs.command("evaluate")(evaluate)
    app.add_typer(verbs, name="codec")


def train(
    audio: Audio,
    out: Annotated[
        Path, typer.Option(help="Directory of the codec; an interrupted training goes on from it.")
    ],
    steps: Annotated[int, typer.Option(min=1)] = 6_000,
    codebooks: Annotated[int, typer.Option(min=1)] = 8,
    entries: Annotated[int, typer.Option(min=2, max=1024)] = 256,
    seed: int = 0,
) -> None:
    """Train a mel codec: codebooks by k-means, then the vocoder."""
    from rosella import devices
    from rosella.cli.progress import progress
    from rosella.codec.mel import MelCodecConfig
    from rosella.codec.training import CodecRecipe, train_codec

    config = MelCodecConfig(num_codebooks=codebooks, codebook_size=entries)
    waves = _read(audio, config.sample_rate)
    minutes = sum(map(len, waves)) / config.sample_rate / 60
    print(f"{minutes:.1f} minutes of audio; fitting the codebooks first.")
    recipe = CodecRecipe(steps=steps, seed=seed)
    with progress("training the vocoder", steps) as update:
        train_codec(
            waves,
            out,
            config,
            recipe,
            lambda values: update(values["step"], f"loss {values['loss']:.3f}"),
            str(devices.device()),
        )
    print(f"The codec is in {out}.")


def evaluate(
    audio: Audio,
    codec: Annotated[str, typer.Option(help="mini, a codec directory, or a hub name.")] = "mini",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print intelligibility (STOI) through the codes and how much of each codebook is in use."""
    from rosella.codec import load_codec
    from rosella.codec.quality import measure

    loaded = load_codec(codec)
    quality = measure(loaded, _read(audio, loaded.sample_rate))
    mean = sum(quality.stoi) / len(quality.stoi)
    if as_json:
        print(json.dumps({"mean_stoi": mean, **vars(quality)}))
        return
    print(
        f"{len(quality.stoi)} clips, {quality.seconds / 60:.1f} minutes, {quality.bits_per_second:.0f} bits per second"
    )
    print(f"STOI through the codes: mean {mean:.3f}, worst {min(quality.stoi):.3f}")
    shares = ", ".join(map(percent, quality.codebook_use))
    print(f"entries in use per codebook: {shares}")


def _read(audio: Sequence[Path], sample_rate: int) -> list[np.ndarray]:
    from rosella.codec.recordings import read_recordings

    waves, faults = read_recordings(audio, sample_rate)
    for fault in faults:
        print(shown(f"left out: {fault}"), file=sys.stderr)
    return waves
