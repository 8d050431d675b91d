"""The one door to every format: by its name for writing, by the file's ending for reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rosella.annotate.exchange import elan, labelstudio, srt, textgrid
from rosella.annotate.exchange.sheet import Line, Sheet
from rosella.errors import UserError

LARGEST = 64 << 20
"""Bytes of a file. Sixty hours of dialogue take fewer in any of the formats; larger ones would fill the memory."""

Speakers = Callable[[Sheet], Collection[str]]
"""Who speaks in the recording of a sheet, as far as a file is known by its name."""


@dataclass(frozen=True)
class Format:
    """How files of a format end, are written and are read.

    `seen` is what a file says of a line: perhaps less, or nothing. The `media` of a sheet that is written are the relative
    path, perhaps empty, and the absolute path or URL. What is read may be several recordings, or a UserError.
    """

    suffix: str
    seen: Callable[[Line], Line | None]
    write: Callable[[Sheet], str]
    read: Callable[[Path, Speakers], list[Sheet]]


FORMATS = {
    "labelstudio": Format(labelstudio.SUFFIX, labelstudio.seen, labelstudio.write, labelstudio.read),
    "elan": Format(elan.SUFFIX, elan.seen, elan.write, elan.read),
    "textgrid": Format(textgrid.SUFFIX, textgrid.seen, textgrid.write, textgrid.read),
    "srt": Format(srt.SUFFIX, srt.seen, srt.write, srt.read),
}
_BY_SUFFIX = {
    **{format.suffix.lower(): format for format in FORMATS.values()},
    **dict.fromkeys(srt.OTHER_SUFFIXES, FORMATS["srt"]),
}


def files(source: Path) -> Iterator[Path]:
    """A file, or all files of a folder, and of those in it, that are named like one of the formats."""
    if not source.exists():
        raise UserError(f"{source} does not exist: name a file or a folder of annotations.")
    if source.is_file():
        yield source
        return
    found = [
        path for path in sorted(source.rglob("*")) if path.suffix.lower() in _BY_SUFFIX and path.is_file()
    ]
    if not found:
        raise UserError(f"{source} holds no annotations: files that end in {_known()}.")
    yield from found


def format_of(path: Path) -> Format:
    """The format of a file, by its ending."""
    format = _BY_SUFFIX.get(path.suffix.lower())
    if format is None:
        raise UserError(f"it is none of the formats that are read: name a file that ends in {_known()}")
    return format


def read(path: Path, speakers: Speakers) -> list[Sheet]:
    """The recordings of a file, by whichever format its ending tells."""
    format = format_of(path)
    if (size := path.stat().st_size) > LARGEST:
        raise UserError(
            f"it has {size / 1e6:.0f} MB and at most {LARGEST / 1e6:.0f} MB are read: export fewer recordings at once"
        )
    return format.read(path, speakers)


def _known() -> str:
    *first, last = _BY_SUFFIX
    return f"{', '.join(first)} or {last}"
