"""Praat files as annotated speech. Every interval tier is a speaker; point tiers are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rosella.asr.prepare.annotated import beside
from rosella.asr.prepare.notation import Tally
from rosella.corpus.sources import textgrid
from rosella.corpus.sources.entries import AUDIO_SUFFIXES
from rosella.corpus.sources.tiers import speaks
from rosella.records import Turn

SUFFIX = textgrid.SUFFIX


def read(path: Path, ignored: tuple[str, ...], tally: Tally) -> tuple[Path, list[Turn]]:
    """Audio and turns of one file; the audio stands beside it under the same name."""
    return beside(path, AUDIO_SUFFIXES), list(_turns(path, ignored, tally))


def _turns(path: Path, ignored: tuple[str, ...], tally: Tally) -> Iterator[Turn]:
    for tier in textgrid.parse(path.read_bytes()):
        if tier.intervals is None or tier.name in ignored or not speaks(tier.name):
            tally[f"tiers left out ({tier.name})"] += 1
            continue
        yield from (Turn(start, end, tier.name, text) for start, end, text in tier.intervals if text.strip())
