"""`rosella steady`: find the heads of a model that read along, so that it keeps its place in what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.errors import UserError
from rosella.numbers import percent

if TYPE_CHECKING:
    import numpy as np

    from rosella.evaluate.sentences import Sentence
    from rosella.speak import Speaker

ENOUGH = 24
"""Sentences that are read, at most: which heads read along is the same in all of them."""


def register(app: typer.Typer) -> None:
    app.command("steady")(steady)


def steady(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model directory.")],
    sentences: Annotated[
        Path, typer.Option(help="JSON Lines of recordings and their texts, as `evaluate` has them.")
    ],
) -> None:
    """Find the heads that look at what is being said, and note them in config.json: speech then neither jumps nor loops."""
    from rosella import speak
    from rosella.evaluate.sentences import read_sentences
    from rosella.inference.alignment import near_shares, readers
    from rosella.weights.configs import CONFIG, note_readers

    if not (model / CONFIG).is_file():
        raise UserError(
            f"{model} is no model directory: write one with rosella convert MODEL {model} --to rosella."
        )
    speaker = speak.load(model)
    spoken = _spoken(speaker, read_sentences(sentences)[:ENOUGH])
    if not spoken:
        raise UserError(
            f"No recording in {sentences} is as short as what the model can say at once: cut them."
        )
    shares = near_shares(speaker.model, spoken, speaker.weights)
    found = readers(shares)
    note_readers(model / CONFIG, found)
    best = f"the best looks at what is being said {percent(shares.max())} of the time"
    if found:
        print(f"{len(found)} of {shares.size} heads read along, {best}; {model / CONFIG} says which.")
    else:
        print(f"No head reads along ({best}): the model speaks as it did.")


def _spoken(speaker: Speaker, sentences: list[Sentence]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Texts and codes of the recordings that the model has room for."""
    from rosella import audio, dialogue

    codec, config = speaker.codec, speaker.config
    rate = codec.sample_rate
    waves = [audio.normalise_loudness(audio.decode(each.audio, rate), rate) for each in sentences]
    texts = [dialogue.encode(dialogue.tagged(each.text)) for each in sentences]
    pairs = zip(texts, codec.encode(waves), strict=True)
    longest = config.encoder.max_position_embeddings
    return [(ids, codes) for ids, codes in pairs if len(ids) <= longest and len(codes) <= config.room()]
