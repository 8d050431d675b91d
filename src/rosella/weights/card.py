"""The card of a model: the `README.md` in its folder, with what the Hugging Face hub reads of it in a head of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CARD = "README.md"
UNSAID = "not said"
UNKNOWN = "unknown"
"""What the hub calls a licence that nobody names."""
PURPOSE: Mapping[str, Any] = {
    "pipeline_tag": "text-to-speech",
    "library_name": "rosella",
    "tags": ["text-to-speech", "dialogue"],
}


def find_card(path: Path) -> str | None:
    """The card of the model at a path: in its folder, or of the run whose checkpoint it is; None where there is none."""
    folder = path if path.is_dir() else path.parent
    run = [folder.parent.parent] if folder.parent.name == "checkpoints" else []
    found = next((each / CARD for each in (folder, *run) if (each / CARD).is_file()), None)
    return None if found is None else found.read_text("utf-8", errors="replace")


def headed(text: str, **head: Any) -> str:
    """A card of this text; a head it has already is kept where it is not changed."""
    card = _opened(text)
    for key, value in head.items():
        setattr(card.data, key, value)
    return f"{str(card).rstrip()}\n"


def body(text: str) -> str:
    """What a card says below its head."""
    return str(_opened(text).text).strip()


def passed_on(source: str | None, name: str, library: str, *notes: str) -> str:
    """The card of a model made of another without training: that one's own, and what was done to it."""
    known = source or headed(
        f"# {name}\n\nIts data, their licences and consents: {UNSAID}.", license=UNKNOWN, **PURPOSE
    )
    return headed("\n\n".join((known.rstrip(), *notes)), library_name=library)


def _opened(text: str) -> Any:
    """A card by the hub's own reader; a head that it cannot read is text."""
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    empty = "---\n{}\n---\n"
    try:
        return ModelCard(
            text if text.lstrip().startswith("---") else empty + text, ignore_metadata_errors=True
        )
    except (ValueError, YAMLError):
        return ModelCard(empty + text, ignore_metadata_errors=True)
