"""The model card of a run: the data it is trained on, by whose leave, and how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rosella.shards.read import Export
from rosella.speak.provenance import model_name
from rosella.training.recipe import ModelRecipe, Recipe
from rosella.weights import find_model
from rosella.weights.card import PURPOSE, UNKNOWN, UNSAID, body, find_card, headed


class Source(NamedTuple):
    """What is known alike of several recordings; None where their manifest does not say."""

    language: str | None
    licence: str | None
    consent: str | None


def describe(recipe: Recipe, export: Export, run: Path) -> str:
    """The card of the model that a run makes when all its steps are done."""
    sources, name = _sources(export), run.resolve().name
    licences = {source.licence for source in sources}
    (licence,) = licences if len(licences) == 1 else ("other",)
    text = f"# {name}\n\n{_INTRODUCTION}\n\n{_data(export, sources)}\n\n{_training(recipe)}"
    base = None if recipe.model.weights is None else find_card(find_model(recipe.model.weights))
    if base is not None:
        text += f"\n\n## The model it began with\n{_lower(body(base))}"
    languages = sorted({source.language for source in sources if source.language})
    return headed(text, license=(licence or UNKNOWN).lower(), language=languages or None, **PURPOSE)


_INTRODUCTION = """A model that speaks dialogues, trained with Rosella.

What it says is generated: publish it as such, and speak in nobody's voice without their consent."""


def _sources(export: Export) -> dict[Source, tuple[int, float]]:
    """The number of recordings and seconds of each; the most of them first."""
    found: dict[Source, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for facts in export.recordings.values():
        source = Source(*(facts.get(name) for name in Source._fields))
        number, seconds = found[source]
        found[source] = number + 1, seconds + facts["seconds"]
    if not found:
        ids = {id for shard in export.shards for id in shard.get("recordings", ())}
        found[Source(None, None, None)] = len(ids), _seconds(export)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _seconds(export: Export) -> float:
    codec = export.codec
    return sum(shard["codes"] for shard in export.shards) / codec.num_codebooks / codec.frame_rate


def _data(export: Export, sources: dict[Source, tuple[int, float]]) -> str:
    named = export.index(["speakers"]).column("speakers").combine_chunks()
    speakers = len(named.flatten().unique())
    rows = [
        f"| {seconds / 3600:.2f} | {number} | {' | '.join(map(_cell, source))} |"
        for source, (number, seconds) in sources.items()
    ]
    head = ("| hours | recordings | language | licence | consent |", "|---|---|---|---|---|")
    known = f"{speakers} speakers are named in it." if speakers else f"Speakers: {UNSAID}."
    return "\n".join(("## Data", *head, *rows, "", f"{len(export)} utterances. {known}", _LICENCE))


_LICENCE = "The licence in this card's head is that of the recordings, where they share one."


def _cell(value: str | None) -> str:
    return " ".join(value.split()).replace("|", "\\|") if value else UNSAID


def _training(recipe: Recipe) -> str:
    facts = {
        "Began with": _began(recipe.model),
        "Steps": recipe.steps,
        "Seed": recipe.seed,
        "Optimizer": f"{recipe.optimizer.kind}, learning rate {recipe.optimizer.lr:g}",
    }
    return "\n".join(("## Training", *(f"- {name}: {value}" for name, value in facts.items())))


def _began(model: ModelRecipe) -> str:
    return (
        f"random weights of the shape {model.preset}" if model.weights is None else model_name(model.weights)
    )


def _lower(text: str) -> str:
    """Its headings two levels further down."""
    return "\n".join(_lowered(text))


def _lowered(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"##{line}" if line.startswith("#") else line
