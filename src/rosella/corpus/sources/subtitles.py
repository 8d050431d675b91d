"""SubRip and WebVTT subtitles beside audio. The speaker is the voice tag `<v Name>` or a `Name:` prefix."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from rosella.corpus.manifest import AUDIO_SUFFIXES, UNNAMED, Entry, Problems, checked, finished
from rosella.corpus.sources.places import audio_files
from rosella.errors import UserError
from rosella.records import Turn

SUFFIXES = (".srt", ".vtt")

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_NAME = re.compile(r"^(?:-\s*)?([^\W\d_][\w .'’-]{0,39}?)\s*:\s+(?=\S)")


def read_file(path: Path) -> list[Entry]:
    """An audio file, or subtitles with their audio beside them."""
    audio = _beside(path, AUDIO_SUFFIXES) if path.suffix.lower() in SUFFIXES else path
    if audio is None:
        raise UserError(f"{path} has no audio file of the same name beside it: put it there.")
    return entries(path, [audio])


def read_folder(folder: Path) -> list[Entry]:
    """Every audio file of a folder and its subfolders."""
    files = list(audio_files(folder))
    if not files:
        raise UserError(
            f"{folder} holds neither a manifest.jsonl or metadata.csv nor audio files: see docs/corpus.md."
        )
    return entries(folder, files)


def _beside(path: Path, suffixes: tuple[str, ...] | frozenset[str]) -> Path | None:
    candidates = (path.with_suffix(s) for suffix in sorted(suffixes) for s in (suffix, suffix.upper()))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def entries(source: Path, files: Sequence[Path]) -> list[Entry]:
    """Audio files with the turns of the subtitles beside them; without turns where there are none."""
    problems, found = Problems(source), []
    for audio in files:
        subtitle = _beside(audio, SUFFIXES)
        where = (subtitle or audio).name
        try:
            found.append(Entry(audio, checked(read_turns(subtitle)) if subtitle else (), where))
        except UserError as error:
            problems.add(where, error)
    return finished(source, found, problems)


def read_turns(path: Path) -> list[Turn]:
    """The cues of a file as turns. Cues without words are left out; a name holds until the next one."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError("it is not UTF-8 text: save it as UTF-8") from None
    turns: list[Turn] = []
    speaker = UNNAMED
    for index, line in enumerate(lines):
        if match := _CUE.match(line):
            times = match.groups()
            speaker, spoken = _speaker(" ".join(_block(lines, index + 1)), speaker)
            if spoken:
                turns.append(Turn(_seconds(*times[:4]), _seconds(*times[4:]), speaker, spoken))
        elif "-->" in line:
            raise UserError(f"line {index + 1} has a time that cannot be read ({line.strip()[:60]})")
    return turns


def _block(lines: list[str], start: int) -> list[str]:
    block = []
    for line in lines[start:]:
        if not line.strip():
            break
        block.append(line.strip())
    return block


def _speaker(cue: str, previous: str) -> tuple[str, str]:
    voice = _VOICE.search(cue)
    spoken = html.unescape(_MARKUP.sub("", cue)).strip()
    if voice:
        return voice.group(1).strip(), spoken
    named = _NAME.match(spoken)
    if named and not named.group(1)[0].islower():  # "one thing: …" is speech, not a name
        return named.group(1).strip(), spoken[named.end() :].strip()
    return previous, spoken


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
