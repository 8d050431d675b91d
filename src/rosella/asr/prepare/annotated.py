"""What every source format is read into: recordings whose turns are read when they are wanted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from rosella.asr.prepare.notation import Tally
from rosella.errors import UserError
from rosella.records import Turn

_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w+;")


@dataclass(frozen=True)
class Annotated:
    """A recording and its annotation. `name` is unique in the source and stays when the source moves.

    `read` gives the audio file and the turns as the source writes them, in any order, overlaps included; it counts
    in the tally what it did by rule, and raises a UserError for an annotation that cannot be read.
    """

    name: str
    language: str | None
    read: Callable[[Tally], tuple[Path, list[Turn]]]


def parse_xml(content: bytes) -> ElementTree.Element:
    """The root of an XML document. Named characters such as `&euml;` are known without the document's DTD."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = (
        text[text.find("?>") + 2 :] if text.startswith("<?xml") else text
    )  # it is decoded: no encoding holds
    try:
        return ElementTree.fromstring(_ENTITY.sub(lambda match: unescape(match[0]), text))
    except ElementTree.ParseError as error:
        raise UserError(f"annotation is not valid XML ({error})") from None


def seconds(text: str | None) -> float:
    """A time of the annotation; a UserError where there is none."""
    try:
        return float(text or "")
    except ValueError:
        raise UserError(f"annotation has no time where one belongs ({text})") from None


def beside(annotation: Path, suffixes: frozenset[str]) -> Path:
    """The audio of the same name beside an annotation; where there is none, the path a wav would have."""
    same = (file for file in sorted(annotation.parent.iterdir()) if file.stem == annotation.stem)
    found = (file for file in same if file.suffix.lower() in suffixes)
    return next(found, annotation.with_suffix(".wav"))
