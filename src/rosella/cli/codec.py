"""`rosella codec train | evaluate`: a codec for your own domain, and how good a codec is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rosella.errors import UserError
from rosella.numbers import percent
from rosella.shown import shown

if TYPE_CHECKING:
    import numpy as np

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"}

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
    from rosella.cli.progress import progress
    from rosella.codec.mel import MelCodecConfig
    from rosella.codec.training import CodecRecipe, train_codec

    config = MelCodecConfig(num_codebooks=codebooks, codebook_size=entries)
    waves = load_audio(audio, config.sample_rate)
    minutes = sum(map(len, waves)) / config.sample_rate / 60
    print(f"{minutes:.1f} minutes of audio; fitting the codebooks first.")
    with progress("training the vocoder", steps) as update:

        def report(values: dict[str, Any]) -> None:
            update(values["step"], f"loss {values['loss']:.3f}")

        train_codec(waves, out, config, CodecRecipe(steps=steps, seed=seed), report)
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
    quality = measure(loaded, load_audio(audio, loaded.sample_rate))
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


def load_audio(paths: Sequence[Path], sample_rate: int) -> list[np.ndarray]:
    """Decode files, and the audio files below folders, to mono at `sample_rate` and the loudness codecs are given.

    Files that cannot be decoded are named and left out; a UserError when none is left.
    """
    from rosella.audio import decode, normalise_loudness

    files = [file for path in paths for file in _audio_files(path)]
    if not files:
        raise UserError(
            "No audio found: give files, or a folder that holds .wav, .flac, .ogg, .opus, .mp3 or .m4a."
        )
    waves, faults = [], []
    for file in files:
        try:
            waves.append(normalise_loudness(decode(file, sample_rate), sample_rate))
        except UserError as fault:
            faults.append(str(fault))
    if not waves:
        raise UserError(f"None of the {len(files)} files can be used; the first: {faults[0]}")
    for fault in faults:
        print(shown(f"left out: {fault}"), file=sys.stderr)
    return waves


def _audio_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
