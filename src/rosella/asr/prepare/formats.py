"""The one door to every format of annotated speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rosella.asr.prepare import cgn, corpus, elan, textgrid
from rosella.asr.prepare.annotated import Annotated
from rosella.asr.prepare.notation import CGN, PLAIN, Notation, Tally
from rosella.audio import probe
from rosella.corpus.export.where import Condition
from rosella.corpus.sources.entries import Entry
from rosella.corpus.sources.read import read_source
from rosella.corpus.steps.segment import set_end
from rosella.errors import UserError
from rosella.records import Turn

_READERS = {elan.SUFFIX: elan.read, textgrid.SUFFIX: textgrid.read}


@dataclass(frozen=True)
class Format:
    """What a source turned out to be: its name in the report, its notation unless another is given, how to list it."""

    name: str
    notation: Notation
    recordings: Callable[[Notation], list[Annotated]]


def recognise(source: Path, where: Sequence[Condition] = ()) -> Format:
    """A corpus directory by its catalogue, CGN by its folders, ELAN and Praat by their file names, all else as
    `corpus add` reads it. Only of a corpus directory can conditions be asked for."""
    if not source.exists():
        raise UserError(f"{source} does not exist: name a corpus folder, an annotation file or a manifest.")
    if corpus.is_corpus(source):
        return Format("corpus directory", PLAIN, lambda _: list(corpus.read(source, where)))
    if where:
        raise UserError(
            f"{source} is no corpus directory, and only from one can --where choose: leave it out."
        )
    if source.is_dir() and (data := cgn.find(source)):
        return Format("Corpus Gesproken Nederlands", CGN, lambda _: list(cgn.read(data)))
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    annotations = [file for file in files if file.suffix.lower() in _READERS]
    if annotations:
        base = source if source.is_dir() else source.parent
        return Format("ELAN and Praat files", PLAIN, lambda notation: _files(annotations, base, notation))
    return Format("manifest", PLAIN, lambda _: list(_manifest(source)))


def _files(annotations: list[Path], base: Path, notation: Notation) -> list[Annotated]:
    return [
        Annotated(
            file.relative_to(base).as_posix(),
            None,
            partial(_READERS[file.suffix.lower()], file, notation.ignored_tiers),
        )
        for file in annotations
    ]


def _manifest(source: Path) -> Iterator[Annotated]:
    base = (source if source.is_dir() else source.parent).resolve()
    for entry in read_source(source):
        path = entry.audio.resolve()
        name = path.relative_to(base) if path.is_relative_to(base) else path
        yield Annotated(name.as_posix(), entry.language, partial(_entry, entry))


def _entry(entry: Entry, tally: Tally) -> tuple[Path, list[Turn]]:
    if entry.embedded:
        raise UserError("audio lies inside a data set: save it as files with a manifest")
    if entry.url:
        raise UserError("audio lies at a URL: download it")
    if not entry.turns:
        raise UserError("it has no transcript to learn from: put .srt or .vtt beside it, or give turns")
    untimed = entry.turns and entry.turns[-1].end == float("inf")
    turns = set_end(entry.turns, probe(entry.audio).duration) if untimed else entry.turns
    return entry.audio, list(turns)
