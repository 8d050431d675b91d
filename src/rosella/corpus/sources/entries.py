"""A recording as a source names it, and what every format needs to name one.

A source is validated whole before anything is added. What is wrong with it is listed by line or row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec

from rosella import dialogue
from rosella.audio import is_url
from rosella.errors import UserError
from rosella.records import Facts, Turn, check_turns

T = TypeVar("T")

SHOWN_PROBLEMS = 5
UNNAMED = "unknown"
"""Who speaks where neither the source nor a folder says."""

AUDIO_SUFFIXES = frozenset(
    (
        ".aac .ac3 .aif .aifc .aiff .amr .ape .asf .au .avi .caf .eac3 .flac .flv .m4a .m4b .m4v "
        ".mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg .oga .ogg .opus .ts .tta .w64 .wav .wave .webm "
        ".wma .wv"
    ).split()
)


@dataclass(frozen=True)
class Entry(Facts):
    """A recording as a source names it, before its audio has been looked at.

    `where` says where it stands (`line 3`). Without turns it has no transcript yet; untimed text is one turn that
    ends at infinity. Audio inside a data set has no path of its own: `embedded` returns its bytes and `audio` is
    the name it goes by, as it is for audio at a `url`.
    """

    audio: Path
    turns: tuple[Turn, ...]
    where: str
    embedded: Callable[[], bytes] | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """Where the audio is: its URL, or its path."""
        return self.url or str(self.audio)


class Problems:
    """What is wrong with a source, collected so that one message names all bad lines."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, where: str, problem: object) -> None:
        self.found.append(f"{where}: {str(problem).rstrip('.')}")

    def entries(self, items: Iterable[tuple[str, T]], read: Callable[[T, str], Entry]) -> list[Entry]:
        """What `read` makes of each item and of where it stands. A UserError lists the first problems, or finds nothing."""
        entries = []
        for where, item in items:
            try:
                entries.append(read(item, where))
            except UserError as error:
                self.add(where, error)
        if self.found:
            more = len(self.found) - SHOWN_PROBLEMS
            rest = f"; and {more} more, which --debug lists" if more > 0 else ""
            listed = "; ".join(self.found[:SHOWN_PROBLEMS])
            raise UserError(
                f"Nothing was added, {self.source} has bad entries: {listed}{rest}. Correct and add it again.",
                self.found,
            )
        if not entries:
            raise UserError(f"{self.source} lists no recordings: add some and try again.")
        return entries


def entry_at(place: str, folder: Path, where: str) -> Entry:
    """An entry without turns for the audio at a URL, or at a path relative to `folder`."""
    if is_url(place):
        return Entry(Path(PurePosixPath(place).name), (), where, url=check_url(place))
    return Entry(audio_path(place, folder), (), where)


def audio_path(name: str, folder: Path) -> Path:
    """The local file a source names, relative to `folder`; refused where it is a URL or does not exist."""
    if "\0" in name:
        raise UserError("the audio path holds a NUL character")
    if is_url(name):
        raise UserError(f"{name} is a URL: download it and give the local path")
    path = folder / name
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise UserError(f"the audio path cannot be used ({error.strerror})") from None
    raise UserError(f"the audio file {name} does not exist")


def check_url(url: str) -> str:
    """The URL, unless it leads to a web page or through another URL, or carries a password."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ftp"):
        raise UserError(f"{url} is a web address: download it and give the local path")
    if "::" in url or parts.scheme not in fsspec.available_protocols():
        raise UserError(f"{url} names no storage that can be read: use gs://, s3:// or a local path")
    if parts.password:
        raise UserError("The address holds a password: put credentials into the environment or .env")
    return url


def folder_name(folder: Path) -> str:
    """The one speaker of what lies in a folder, where nobody is named; the same from wherever it is looked at."""
    return folder.resolve().name or UNNAMED


def normalise_turns(turns: Sequence[Turn], tagged: bool = False) -> tuple[Turn, ...]:
    """Turns with normalised texts; a UserError for texts or times that no utterance can be cut from.

    A turn may be a dialogue of several where they are `tagged`.
    """
    if not turns:
        raise UserError("it has no turns")
    check_turns(turns)
    return tuple(_normalise_texts(number, turn, tagged) for number, turn in enumerate(turns, 1))


def _normalise_texts(number: int, turn: Turn, tagged: bool) -> Turn:
    try:
        spoken = dialogue.normalise(turn.text).strip()
        clean = dialogue.normalise(turn.text_clean).strip() if turn.text_clean else turn.text_clean
    except UserError as error:
        raise UserError(f"turn {number}: {error}") from None
    if not tagged and dialogue.speaker_tags(f"{spoken} {clean or ''}"):
        raise UserError(f"turn {number}: the text holds a speaker tag; name the speaker in its own field")
    return replace(turn, text=spoken, text_clean=clean)


def untimed_turn(spoken: str, clean: str | None, speaker: str) -> Turn:
    """Text for a whole recording. It may be a dialogue: `[S1] … [S2] …`."""
    normalised = dialogue.normalise(spoken).strip()
    return Turn(0.0, math.inf, speaker, normalised, dialogue.normalise(clean).strip() if clean else None)
