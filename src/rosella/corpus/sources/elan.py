"""ELAN annotation files (.eaf, formats 2.x and 3.0): their tiers, with the time of every annotation.

Format: "EAF Annotation Format 3.0 and ELAN" and the schema EAFv3.0.xsd of the Max Planck Institute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from rosella.corpus.sources.markup import parse_xml
from rosella.errors import UserError

SUFFIX = ".eaf"


@dataclass(frozen=True)
class Annotation:
    """A text and its span, seconds; one that refers to another has that one's. `span` is None where it has no time."""

    id: str
    text: str
    span: tuple[float, float] | None

    @property
    def times(self) -> tuple[float, float]:
        if self.span is None:
            raise UserError(f"annotation {self.id} has no time: align it in ELAN")
        return self.span


@dataclass(frozen=True)
class Tier:
    """`participant` is whom it is about and `parent` the tier whose annotations it divides or refers to; "" for none."""

    name: str
    participant: str
    parent: str
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class Document:
    """`media`: addresses of the recording, each medium's relative one first. `properties`: of the header, by name."""

    media: tuple[str, ...]
    properties: Mapping[str, str]
    tiers: tuple[Tier, ...]


def parse(content: bytes) -> Document:
    """The document of a file's bytes; a UserError where it is none."""
    root = parse_xml(content)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise UserError(f"annotation is no ELAN file (it begins with {root.tag})")
    keys = ("RELATIVE_MEDIA_URL", "MEDIA_URL")
    media = tuple(m.get(key, "") for m in root.iter("MEDIA_DESCRIPTOR") for key in keys if m.get(key))
    properties = {p.get("NAME", ""): p.text or "" for p in root.iter("PROPERTY")}
    spans = _spans(root)
    return Document(media, properties, tuple(_tier(tier, spans) for tier in root.iter("TIER")))


def _spans(root: Element) -> dict[str, tuple[float, float] | None]:
    """The span of every annotation by its id; times are milliseconds from `TIME_ORIGIN` (here in seconds) of the medium."""
    origin = next((m.get("TIME_ORIGIN") or "0" for m in root.iter("MEDIA_DESCRIPTOR")), "0")
    moments = {
        slot.get("TIME_SLOT_ID"): _milliseconds(slot.get("TIME_VALUE", "")) / 1000
        + _milliseconds(origin) / 1000
        for slot in root.iter("TIME_SLOT")
        if slot.get("TIME_VALUE")
    }
    spans: dict[str, tuple[float, float] | None] = {}
    for annotation in root.iter("ALIGNABLE_ANNOTATION"):
        start, end = (moments.get(annotation.get(f"TIME_SLOT_REF{number}")) for number in (1, 2))
        spans[_id(annotation)] = None if start is None or end is None else (start, end)
    referring = {_id(a): a.get("ANNOTATION_REF", "") for a in root.iter("REF_ANNOTATION")}
    for name in referring:
        spans[name] = next((spans.get(end) for end in _chain(name, referring) if end not in referring), None)
    return spans


def _chain(name: str, referring: Mapping[str, str]) -> Iterator[str]:
    """What an annotation refers to, what that refers to, and so on; a circle ends where it began."""
    seen: set[str] = set()
    while name in referring and name not in seen:
        seen.add(name)
        name = referring[name]
        yield name


def _tier(tier: Element, spans: Mapping[str, tuple[float, float] | None]) -> Tier:
    kinds = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
    annotations = (a for holder in tier.iter("ANNOTATION") for a in holder if a.tag in kinds)
    return Tier(
        tier.get("TIER_ID", ""),
        tier.get("PARTICIPANT", ""),
        tier.get("PARENT_REF", ""),
        tuple(
            Annotation(_id(a), a.findtext("ANNOTATION_VALUE") or "", spans.get(_id(a))) for a in annotations
        ),
    )


def _id(annotation: Element) -> str:
    return annotation.get("ANNOTATION_ID", "")


def _milliseconds(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"annotation has no time where one belongs ({text[:40]})") from None
