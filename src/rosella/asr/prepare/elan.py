"""ELAN files as annotated speech. Every time-aligned tier without a parent is a speaker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rosella.asr.prepare.annotated import beside
from rosella.asr.prepare.notation import Tally
from rosella.corpus.sources import elan
from rosella.corpus.sources.entries import AUDIO_SUFFIXES
from rosella.corpus.sources.tiers import speaks
from rosella.records import Turn

SUFFIX = elan.SUFFIX


def read(path: Path, ignored: tuple[str, ...], tally: Tally) -> tuple[Path, list[Turn]]:
    """Audio and turns of one file. The audio is the first medium it names that exists, else one of its own name."""
    document = elan.parse(path.read_bytes())
    audio = next(_media(document, path.parent), None) or beside(path, AUDIO_SUFFIXES)
    return audio, list(_turns(document, ignored, tally))


def _media(document: elan.Document, folder: Path) -> Iterator[Path]:
    for address in document.media:
        named = Path(unquote(urlsplit(address).path))
        for path in (folder / named, folder / named.name):  # the absolute path is another machine's
            if named.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
                yield path


def _turns(document: elan.Document, ignored: tuple[str, ...], tally: Tally) -> Iterator[Turn]:
    for tier in document.tiers:
        if tier.parent or tier.name in ignored or not speaks(tier.name):
            tally[f"tiers left out ({tier.name})"] += 1
            continue
        for annotation in tier.annotations:
            yield Turn(*annotation.times, tier.participant or tier.name or "unknown", annotation.text)
