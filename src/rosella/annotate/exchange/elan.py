"""ELAN (.eaf, format 3.0): a tier for each speaker, their clean texts in a tier that refers to it, clips under COMMENT.

A clip is an annotation in the tier COMMENT, whose text is the comment, and VERDICT refers to it. Names of tiers are the
names of speakers. Schema: EAFv3.0.xsd of the Max Planck Institute.
"""

from __future__ import annotations

import mimetypes
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from rosella.annotate.exchange.sheet import Line, Mark, Note, Sheet, folded, milliseconds, with_clean
from rosella.audio import is_url
from rosella.corpus.sources import elan
from rosella.corpus.sources.tiers import CLEAN, COMMENT, OVERLAP, VERDICT, speaks

SUFFIX = elan.SUFFIX

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_MARK = "rosella"
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, "
    "no time gaps allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. "
    "Annotations refering to the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}
"""ELAN's own, in its own words."""


def seen(line: Line) -> Line | None:
    """A line as a file says it, which is all of it."""
    return line


@dataclass
class _Tiers:
    """Tiers and time slots as they are added to a document."""

    root: Element
    moments: list[int] = field(default_factory=list)
    annotations: int = 0

    def aligned(self, name: str, spans: Collection[tuple[int, int, str]]) -> list[str]:
        """A tier of (start, end, text); the ids of its annotations."""
        tier = SubElement(self.root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF="aligned")
        return [self._annotation(tier, text, "ALIGNABLE", self._slots(*span)) for *span, text in spans]

    def referring(self, name: str, parent: str, texts: Collection[tuple[str, str]]) -> None:
        """A tier of (id that is referred to, text); what has no text is left out."""
        attributes = {"TIER_ID": name, "PARENT_REF": parent, "LINGUISTIC_TYPE_REF": "referring"}
        tier = SubElement(self.root, "TIER", attributes)
        for reference, text in texts:
            if text:
                self._annotation(tier, text, "REF", {"ANNOTATION_REF": reference})

    def _slots(self, start: int, end: int) -> dict[str, str]:
        self.moments += (start, end)
        first = len(self.moments) - 1
        return {"TIME_SLOT_REF1": f"ts{first}", "TIME_SLOT_REF2": f"ts{first + 1}"}

    def _annotation(self, tier: Element, text: str, kind: str, place: dict[str, str]) -> str:
        self.annotations += 1
        name = f"a{self.annotations}"
        holder = SubElement(tier, "ANNOTATION")
        annotation = SubElement(holder, f"{kind}_ANNOTATION", {"ANNOTATION_ID": name, **place})
        SubElement(annotation, "ANNOTATION_VALUE").text = text
        return name


def write(sheet: Sheet) -> str:
    """The document; of its media the first is relative to it, the second absolute or a URL."""
    root = Element("ANNOTATION_DOCUMENT", AUTHOR="", FORMAT="3.0", VERSION="3.0")
    root.set("DATE", datetime.now().astimezone().isoformat(timespec="seconds"))
    root.set("xmlns:xsi", _XSI)
    root.set("xsi:noNamespaceSchemaLocation", _SCHEMA)
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    order = SubElement(root, "TIME_ORDER")
    tiers = _Tiers(root)
    _write_tiers(tiers, sheet)
    for number, moment in sorted(enumerate(tiers.moments, 1), key=lambda slot: slot[1]):
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(moment))
    _write_header(header, sheet, tiers.annotations)
    _write_types(root)
    ElementTree.indent(root, "    ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _write_tiers(tiers: _Tiers, sheet: Sheet) -> None:
    for speaker, lines in sheet.by_speaker().items():
        names = tiers.aligned(speaker, [(line.start, line.end, line.text) for line in lines])
        if sheet.has_clean:
            clean = [(name, line.clean) for name, line in zip(names, lines, strict=True)]
            tiers.referring(speaker + CLEAN, speaker, clean)
    comments, verdicts = sheet.comments or (), sheet.verdicts or ()
    names = tiers.aligned(COMMENT, [(note.start, note.end, note.text) for note in comments])
    tiers.referring(VERDICT, COMMENT, [(name, note.text) for name, note in zip(names, verdicts, strict=True)])


def _write_header(header: Element, sheet: Sheet, annotations: int) -> None:
    relative, absolute = sheet.media
    address = absolute if is_url(absolute) else Path(absolute).as_uri()
    kind = mimetypes.guess_type(absolute)[0] or "unknown"
    medium = SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=address, MIME_TYPE=kind)
    if relative:
        medium.set("RELATIVE_MEDIA_URL", quote(relative if relative.startswith(".") else f"./{relative}"))
    for name, value in ((_MARK, str(sheet.mark or "")), ("lastUsedAnnotationId", str(annotations))):
        SubElement(header, "PROPERTY", NAME=name).text = value


def _write_types(root: Element) -> None:
    alignable = {"LINGUISTIC_TYPE_ID": "aligned", "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    SubElement(root, "LINGUISTIC_TYPE", alignable)
    referring = {**alignable, "LINGUISTIC_TYPE_ID": "referring", "TIME_ALIGNABLE": "false"}
    SubElement(root, "LINGUISTIC_TYPE", {**referring, "CONSTRAINTS": "Symbolic_Association"})
    for name, description in _CONSTRAINTS.items():
        SubElement(root, "CONSTRAINT", STEREOTYPE=name, DESCRIPTION=description)


def read(path: Path, speakers: Callable[[Sheet], Collection[str]]) -> list[Sheet]:
    """The recording of one file. Tiers without a parent are speakers; of others only clean texts and verdicts are read."""
    document = elan.parse(path.read_bytes())
    lines = [line for tier in document.tiers for line in _lines(tier)]
    clean = [(tier, note) for tier in document.tiers if tier.name.endswith(CLEAN) for note in _notes(tier)]
    mark = Mark.found(document.properties.get(_MARK, "")) or Mark.found(path.stem)
    return [
        Sheet(
            document.media,
            tuple(with_clean(lines, [(_speaker(tier), note) for tier, note in clean])),
            _named(document, VERDICT),
            _named(document, COMMENT),
            any(tier.name.endswith(CLEAN) for tier in document.tiers),
            mark,
        )
    ]


def _lines(tier: elan.Tier) -> Iterator[Line]:
    if not tier.parent and (speaks(tier.name) or tier.name == OVERLAP):
        for note in _notes(tier):
            yield Line(note.start, note.end, tier.participant or tier.name, note.text)


def _speaker(clean: elan.Tier) -> str:
    return clean.participant or clean.parent or clean.name.removesuffix(CLEAN)


def _named(document: elan.Document, name: str) -> tuple[Note, ...] | None:
    found = [tier for tier in document.tiers if tier.name == name]
    return tuple(note for tier in found for note in _notes(tier)) if found else None


def _notes(tier: elan.Tier) -> Iterator[Note]:
    for annotation in tier.annotations:
        start, end = map(milliseconds, annotation.times)
        yield Note(start, end, folded(annotation.text))
