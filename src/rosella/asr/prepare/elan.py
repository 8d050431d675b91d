"""ELAN annotation files (.eaf, formats 2.x and 3.0). Every time-aligned tier without a parent is a speaker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from rosella.asr.prepare.annotated import beside, parse_xml
from rosella.asr.prepare.notation import Tally
from rosella.corpus.sources.entries import AUDIO_SUFFIXES
from rosella.errors import UserError
from rosella.records import Turn

SUFFIX = ".eaf"


def read(path: Path, ignored: tuple[str, ...], tally: Tally) -> tuple[Path, list[Turn]]:
    """Audio and turns of one file. The audio is the first medium it names that exists, else one of its own name."""
    root = parse_xml(path.read_bytes())
    if root.tag != "ANNOTATION_DOCUMENT":
        raise UserError(f"annotation is no ELAN file (it begins with {root.tag})")
    audio = next(_media(root, path.parent), None) or beside(path, AUDIO_SUFFIXES)
    return audio, list(_turns(root, ignored, tally))


def _media(root: Element, folder: Path) -> Iterator[Path]:
    for medium in root.iter("MEDIA_DESCRIPTOR"):
        for key in ("RELATIVE_MEDIA_URL", "MEDIA_URL"):
            named = Path(unquote(urlsplit(medium.get(key, "")).path))
            for path in (folder / named, folder / named.name):  # the absolute path is another machine's
                if named.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
                    yield path


def _turns(root: Element, ignored: tuple[str, ...], tally: Tally) -> Iterator[Turn]:
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    origin = int(next((m.get("TIME_ORIGIN") or 0 for m in root.iter("MEDIA_DESCRIPTOR")), 0)) / 1000
    for tier in root.iter("TIER"):
        speaker = tier.get("PARTICIPANT") or tier.get("TIER_ID") or "unknown"
        if tier.get("PARENT_REF") or tier.get("TIER_ID") in ignored:
            tally[f"tiers left out ({tier.get('TIER_ID')})"] += 1
            continue
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            yield _turn(annotation, slots, origin, speaker)


def _turn(annotation: Element, slots: dict[str | None, str | None], origin: float, speaker: str) -> Turn:
    """One annotation; times are milliseconds from `TIME_ORIGIN` (here in seconds) of the medium."""
    start, end = (slots.get(annotation.get(f"TIME_SLOT_REF{number}")) for number in (1, 2))
    if start is None or end is None:
        raise UserError(f"annotation {annotation.get('ANNOTATION_ID')} has no time: align it in ELAN")
    text = annotation.findtext("ANNOTATION_VALUE") or ""
    return Turn(int(start) / 1000 + origin, int(end) / 1000 + origin, speaker, text)
