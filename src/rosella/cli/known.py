"""What a run's models would be, known without loading them: what the last run noted, while their files are the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rosella
from rosella import mini

if TYPE_CHECKING:
    from rosella.cli.corpus_work import Settings
    from rosella.corpus.catalogue.store import Catalogue

SETTING = "models"
"""Under which the catalogue keeps what a run's models were."""


@dataclass(frozen=True)
class Known:
    """Stands for a diarizer or a transcriber where only its version is asked for."""

    version: str
    window: float | None = None


def note(catalogue: Catalogue, settings: Settings, models: dict[str, Any]) -> None:
    """Keep what the models of these settings are."""
    from rosella.corpus.catalogue import settings as kept
    from rosella.corpus.shards import CodecFacts

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
    from rosella.corpus.catalogue import settings as kept
    from rosella.corpus.shards import CodecFacts

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
    recognisers = [settings.recogniser, settings.clean_recogniser] if settings.wordless else []
    try:
        files = [_files("recogniser", name) if name else None for name in recognisers]
        return [rosella.__version__, _files("codec", settings.codec), files, _diarizer(settings.diarizer)]
    except OSError:
        return None


def _files(part: str, name: str) -> list[Any]:
    """What tells the files of a codec or a recogniser from others: of a hub's model the revision that is here."""
    from huggingface_hub import constants

    folder = mini.path(part) if name == "mini" else Path(name)
    if folder.is_dir():
        return _seen(folder)
    repository = f"models--{name.replace('/', constants.REPO_ID_SEPARATOR)}"
    return [name, Path(constants.HF_HUB_CACHE, repository, "refs", "main").read_text("utf-8")]


def _diarizer(name: str) -> list[Any]:
    """The same for a diarizer; one of the hub goes by its name alone."""
    from rosella.corpus import diarization
    from rosella.corpus.diarize import EMBEDDED

    folder = Path(diarization.__path__[0]) if name == EMBEDDED else Path(name)
    return [name, *(_seen(folder) if folder.is_dir() else [])]


def _seen(folder: Path) -> list[Any]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
