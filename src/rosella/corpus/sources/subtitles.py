"""SubRip and WebVTT subtitles beside audio. The speaker is the voice tag `<v Name>` or a `Name:` prefix."""

from __future__ import annotations

import html
import re
from pathlib import Path

from rosella.corpus.manifest import AUDIO_SUFFIXES, Entry, Problems, checked, finished
from rosella.errors import UserError
from rosella.records import Turn

SUFFIXES = (".srt", ".vtt")
UNNAMED = "unknown"

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_NAME = re.compile(r"^(?:-\s*)?([^\W\d_][\w .'’-]{0,39}?)\s*:\s+(?=\S)")


def read_file(path: Path) -> list[Entry]:
    """An audio file with subtitles beside it, or subtitles with their audio beside them."""
    audio, subtitle = (
        (_beside(path, AUDIO_SUFFIXES), path) if path.suffix.lower() in SUFFIXES else (path, None)
    )
    subtitle = subtitle or _beside(path, SUFFIXES)
    if audio is None:
        raise UserError(f"{path} has no audio file of the same name beside it: put it there.")
    if subtitle is None:
        raise UserError(
            f"{path} has no transcript: put {path.stem}.srt or .vtt beside it, "
            "or list it in a manifest.jsonl."
        )
    return _entries(path, [(audio, subtitle)])


def read_folder(folder: Path) -> list[Entry]:
    """Every audio file of a folder and its subfolders; each needs its subtitles beside it."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES and f.is_file())
    if not files:
        raise UserError(
            f"{folder} holds neither a manifest.jsonl or metadata.csv nor audio files: see docs/corpus.md."
        )
    pairs = [(audio, subtitle) for audio in files if (subtitle := _beside(audio, SUFFIXES))]
    bare = [audio for audio in files if not _beside(audio, SUFFIXES)]
    if bare:
        raise UserError(
            f"{len(bare)} of {len(files)} audio files in {folder} have no transcript, {bare[0].name} first: "
            "put .srt or .vtt files beside them, or list them in a manifest.jsonl."
        )
    return _entries(folder, pairs)


def _beside(path: Path, suffixes: tuple[str, ...] | frozenset[str]) -> Path | None:
    found = (f for f in sorted(path.parent.iterdir()) if f.stem == path.stem and f.suffix.lower() in suffixes)
    return next(found, None)


def _entries(source: Path, pairs: list[tuple[Path, Path]]) -> list[Entry]:
    problems, entries = Problems(source), []
    for audio, subtitle in pairs:
        try:
            entries.append(Entry(audio, checked(read_turns(subtitle)), subtitle.name))
        except UserError as error:
            problems.add(subtitle.name, error)
    return finished(source, entries, problems)


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
