"""What a run's models would be, known without loading them: what the last run noted, while their files are the same."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rosella

if TYPE_CHECKING:
    from rosella.cli.corpus_work import Settings
    from rosella.corpus.catalogue.store import Catalogue

SETTING = "models"
"""Under which the catalogue keeps what a run's models were."""

PROGRAM = Path(rosella.__file__).parent
"""Holds the embedded models, and the code that says what a version is."""


@dataclass(frozen=True)
class Known:
    """Stands for a diarizer or a transcriber where only its version is asked for."""

    version: str
    window: float | None = None


def note(catalogue: Catalogue, settings: Settings, models: dict[str, Any]) -> None:
    """Keep what the models of these settings are."""
    from rosella.codec.facts import CodecFacts
    from rosella.corpus.catalogue import settings as kept

    transcriber = models["transcriber"]
    facts = {
        "from": _origin(settings),
        "codec": asdict(CodecFacts.of(models["codec"])),
        "diarizer": models["diarizer"].version,
        "transcriber": transcriber and [transcriber.version, transcriber.window],
    }
    kept.write(catalogue, SETTING, facts)


def known_models(catalogue: Catalogue, settings: Settings) -> dict[str, Any] | None:
    """As `load_models`, with what stands for the models; None where only loading them can tell what they are."""
    from rosella.codec.facts import CodecFacts
    from rosella.corpus.catalogue import settings as kept

    facts = kept.read(catalogue, SETTING)
    origin = _origin(settings)
    if facts is None or origin is None or facts["from"] != origin:
        return None
    return {
        "codec": CodecFacts(**facts["codec"]),
        "cutting": settings.cutting,
        "diarizer": Known(facts["diarizer"]),
        "transcriber": Known(*facts["transcriber"]) if facts["transcriber"] else None,
    }


def _origin(settings: Settings) -> list[Any] | None:
    """All that decides what the models are, as JSON; None where that cannot be seen from here."""
    recognisers = [settings.recogniser, settings.clean_recogniser] if settings.wordless else [None, None]
    try:
        return [
            _seen(PROGRAM),
            settings.diarizer,
            *map(_model, (settings.codec, *recognisers)),
            _folder(settings.diarizer),
        ]
    except OSError:
        return None


def _model(name: str | None) -> str | None:
    """What tells a codec or a recogniser from others: its files, or of a hub's the revision that is here."""
    from huggingface_hub import constants

    if name is None or name == "mini":
        return name
    if found := _folder(name):
        return found
    repository = f"models--{name.replace('/', constants.REPO_ID_SEPARATOR)}"
    revision = Path(constants.HF_HUB_CACHE, repository, "refs", "main").read_text("utf-8")
    return f"{name}@{revision}"


def _folder(name: str) -> str | None:
    return _seen(Path(name)) if Path(name).is_dir() else None


def _seen(folder: Path) -> str:
    """Which files a folder holds, without reading them."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    facts = [f"{file}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}\0" for file in files]
    return hashlib.sha256("".join(facts).encode(errors="surrogateescape")).hexdigest()
