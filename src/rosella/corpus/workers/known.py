"""What a run's models would be, known without loading them: what the last run noted, while their files are the same."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rosella.codec.facts import CodecFacts
from rosella.corpus.catalogue import settings as kept
from rosella.corpus.catalogue.database import Database
from rosella.corpus.models import Models
from rosella.corpus.workers import settings as asked
from rosella.corpus.workers.settings import Settings

SETTING = "models"
"""Under which the catalogue keeps what a run's models were."""

PROGRAM = Path(__file__).parents[2]
"""Holds the embedded models, and the code that says what a version is."""


@dataclass(frozen=True)
class StandIn:
    """Stands for a diarizer or a transcriber where only its version is asked for."""

    version: str
    window: float | None = None


def remember(database: Database, settings: Settings, models: Models) -> None:
    """For workers, and for later runs that do not name a recogniser again, or have nothing to do."""
    transcriber = models.transcriber
    facts = {
        "from": _origin(settings),
        "codec": asdict(CodecFacts.of(models.codec)),
        "diarizer": models.diarizer and models.diarizer.version,
        "transcriber": transcriber and [transcriber.version, transcriber.window],
    }
    kept.write(database, asked.SETTING, asdict(settings))
    kept.write(database, SETTING, facts)


def known_models(database: Database, settings: Settings) -> Models | None:
    """What stands for the models of these settings; None where only loading them can tell what they are."""
    facts = kept.read(database, SETTING)
    origin = _origin(settings)
    if facts is None or origin is None or facts["from"] != origin:
        return None
    codec: Any = CodecFacts(**facts["codec"])
    diarizer: Any = StandIn(facts["diarizer"]) if facts["diarizer"] else None
    transcriber: Any = StandIn(*facts["transcriber"]) if facts["transcriber"] else None
    return Models(codec, settings.cutting, diarizer, transcriber)


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
