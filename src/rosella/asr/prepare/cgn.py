"""Corpus Gesproken Nederlands as it is delivered (version 2.0):

    data/annot/xml/skp-ort/comp-a/nl/fn000248.skp.gz   words with speakers and times
    data/annot/xml/pri/…/fn000248.pri.gz               the same words with their punctuation
    data/annot/xml/tag/…/fn000248.tag.gz               their parts of speech, which tell what was broken off
    data/audio/wav/…/fn000248.wav

Times are those of chunks, the two or three seconds between pauses: all words of a chunk share them. A chunk of one
speaker's sentence is a turn here. Formats: the documentation of CGN, topics/formats/xml.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element

from rosella.asr.prepare.annotated import Annotated, seconds
from rosella.asr.prepare.notation import Tally
from rosella.corpus.sources.markup import parse_xml
from rosella.errors import UserError
from rosella.records import Turn

LAYER = Path("annot/xml/skp-ort")
_REPEATED_CODE = re.compile(r"(?i)^(ggg|xxx)[gx]*$")
_PARTS = {"SPEC(afgebr)": "*a", "SPEC(onverst)": "xxx"}


def find(source: Path) -> Path | None:
    """The folder `data` of a delivered corpus at or just below `source`; None where there is none."""
    candidates = (source, source / "data", *sorted(source.glob("*/data")))
    return next((folder for folder in candidates if (folder / LAYER).is_dir()), None)


def read(data: Path) -> Iterator[Annotated]:
    """Every annotated recording; its name is `comp-a/nl/fn000248`, its language the folder (`nl` or `vl`)."""
    for path in sorted((data / LAYER).glob("comp-*/*/*.skp*")):
        name = path.relative_to(data / LAYER).parent / path.name.split(".")[0]
        yield Annotated(name.as_posix(), name.parent.name, partial(_read, path, data, name))


def _read(path: Path, data: Path, name: Path, tally: Tally) -> tuple[Path, list[Turn]]:
    punctuation = _punctuation(_layer(data, "pri", name, tally))
    codes = _codes(_layer(data, "tag", name, tally))
    units = parse_xml(_content(path)).iter("tau")  # COMMENT and BACKGROUND are `tmu`
    turns = [turn for unit in units for turn in _chunks(unit, punctuation, codes)]
    return data / "audio/wav" / f"{name}.wav", turns


def _layer(data: Path, layer: str, name: Path, tally: Tally) -> Element | None:
    found = sorted((data / "annot/xml" / layer / name.parent).glob(f"{name.name}.{layer}*"))
    tally[f"recordings {'with' if found else 'without'} the layer {layer}"] += 1
    return parse_xml(_content(found[0])) if found else None


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise UserError(f"annotation cannot be read ({path.name}: {error})") from None


def _punctuation(root: Element | None) -> dict[str, str]:
    """Word reference -> the punctuation behind it."""
    marks: dict[str, str] = {}
    for unit in root.iter("au") if root is not None else ():
        word = ""
        for element in unit:
            if element.tag == "w":
                word = element.get("id", "")
            elif element.tag == "l":
                marks[word] = marks.get(word, "") + (element.text or "").strip()
    return marks


def _codes(root: Element | None) -> dict[str, str]:
    """Word reference -> the code that its part of speech stands for."""
    words = root.iter("pw") if root is not None else ()
    return {word.get("ref", ""): code for word in words if (code := _PARTS.get(word.get("pos", "")))}


def _chunks(unit: Element, punctuation: dict[str, str], codes: dict[str, str]) -> Iterator[Turn]:
    """The turns of a sentence: its words, grouped by the times of their chunks."""

    def times(word: Element) -> tuple[str | None, str | None]:
        return word.get("tb") or unit.get("tb"), word.get("te") or unit.get("te")

    for (start, end), words in groupby(unit.iter("tw"), times):
        text = " ".join(_word(word, punctuation, codes) for word in words)
        yield Turn(seconds(start), seconds(end), unit.get("s") or "UNKNOWN", text)


def _word(word: Element, punctuation: dict[str, str], codes: dict[str, str]) -> str:
    """A word in the notation of the orthographic layer, as `notation.CGN` reads it."""
    reference, form = word.get("ref", ""), _REPEATED_CODE.sub(r"\1", word.get("w", "").strip())
    code = codes.get(reference, "")
    if code == "xxx":
        form = code
    elif code and "*" not in form:
        form += code
    return form + punctuation.get(reference, "")
