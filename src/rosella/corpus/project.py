"""A corpus directory: add recordings, run the stages over them, see how far they are, export shards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from rosella.audio import is_url
from rosella.corpus.catalogue.removal import Removed, check_not_removed
from rosella.corpus.catalogue.status import Status
from rosella.corpus.catalogue.store import Catalogue, Corrected
from rosella.corpus.codes import CodesCache, cached_codes, remember_codec, remembered_codec, version
from rosella.corpus.engines import local
from rosella.corpus.engines.job import anything_due
from rosella.corpus.engines.local import Ran
from rosella.corpus.engines.progress import Advance, ShowAdvance, unshown
from rosella.corpus.export.balance import Balance
from rosella.corpus.export.where import Condition
from rosella.corpus.export.write import Exported, export
from rosella.corpus.models import Models
from rosella.corpus.plan import Planned, plan
from rosella.corpus.sources.entries import Entry
from rosella.corpus.sources.read import read_source
from rosella.corpus.stage import SCAN, TOKENIZE, Stage
from rosella.corpus.steps.diarize import DiarizeStage
from rosella.corpus.steps.scan import scan, source_of, unread
from rosella.corpus.steps.segment import SegmentStage, set_end
from rosella.corpus.steps.tokenize import TokenizeStage
from rosella.corpus.steps.transcribe import TranscribeStage
from rosella.errors import UserError
from rosella.failpoints import failpoint
from rosella.files import write_bytes
from rosella.records import FACTS, Recording, check_turns
from rosella.shown import meant, shown

CATALOGUE_VARIABLE = "ROSELLA_CATALOGUE"
CATALOGUE_FILE = "catalogue.sqlite"


@dataclass
class Added:
    """Counts of recordings by what became of them, and path and reason of those that cannot be used."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class Corpus:
    """A corpus directory and its catalogue."""

    def __init__(self, directory: Path, catalogue: Catalogue) -> None:
        self.directory = directory
        self.catalogue = catalogue

    @classmethod
    def open(cls, directory: str | Path, url: str | None = None, create: bool = False) -> Self:
        """Open a corpus. Its catalogue: `url`, else the variable ROSELLA_CATALOGUE, else in the directory."""
        directory = Path(directory)
        if create:
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(
                    f"The corpus {directory} cannot be made ({error.strerror}): name another."
                ) from None
        return cls(directory, Catalogue.open(catalogue_url(directory, url, create)))

    def close(self) -> None:
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, source: str | Path, progress: ShowAdvance = unshown, **facts: str | None) -> Added:
        """Add the recordings of a source (see `sources.read`).

        `facts` (see `records.Facts`) hold where the source itself says nothing.
        The source is validated whole before anything is added.
        """
        return self.add_entries(read_source(source), progress, **facts)

    def add_entries(
        self, entries: Sequence[Entry], progress: ShowAdvance = unshown, **facts: str | None
    ) -> Added:
        """Add validated entries. One that cannot be read is recorded as failed, and the rest goes on."""
        result = Added()
        for number, entry in enumerate(entries):
            progress(Advance(SCAN, number, len(entries), failed=len(result.failed), path=entry.place))
            self._add(entry, {k: getattr(entry, k) or facts.get(k) for k in FACTS}, result)
        progress(Advance(SCAN, len(entries), len(entries), failed=len(result.failed)))
        return result

    def run(self, models: Models, progress: ShowAdvance = unshown, begin: float = 0.0) -> Ran:
        """Run all stages over whatever is due; `begin` as in `engines.local.run`. Stopped at any moment, it goes on."""
        return local.run(self.catalogue, self.stages(models), progress, begin=begin)

    def stages(self, models: Models) -> list[Stage]:
        """All stages in order, for an engine to run. What has codes that were deleted is due again."""
        cache = CodesCache(self.directory, models.codec.fingerprint)
        stages = self._stages(models)
        for recording in self.catalogue.done(TOKENIZE, stages[-1].version):
            if not cache.path(recording.id).exists():
                self.catalogue.reset(recording.id, TOKENIZE)
        remember_codec(self.directory, models.codec)
        return stages

    def is_due(self, models: Models) -> bool:
        """Whether `run`, given these, finds anything to do; of a model no more than its version is asked for."""
        return anything_due(self.catalogue, self.stages(models))

    def plan(self, models: Models) -> list[Planned]:
        """What `run` would do, by stage; nothing is changed."""
        return plan(self.catalogue, self._stages(models))

    def _stages(self, models: Models) -> list[Stage]:
        window = models.transcriber.window if models.transcriber else None
        return [
            DiarizeStage(self.catalogue, models.diarizer),
            SegmentStage(self.catalogue, models.cutting, window),
            TranscribeStage(self.catalogue, models.transcriber),
            TokenizeStage(self.catalogue, CodesCache(self.directory, models.codec.fingerprint), models.codec),
        ]

    def status(self) -> Status:
        """Totals, states by stage, rejects by reason, and what failed."""
        return self.catalogue.status(self.codes)

    @property
    def codes(self) -> str | None:
        """The version of the tokenize stage whose codes an export takes: the latest run's; None before the first."""
        try:
            return version(remembered_codec(self.directory))
        except UserError:
            return None

    def retry(self, name: str | None = None) -> list[str]:
        """Make what failed pending again, one by path, file name or id, or all. Returns their paths."""
        failed = [f for f in self.catalogue.failed() if name is None or _goes_by(f, name)]
        if name is not None and not failed:
            raise UserError(f"No failed recording goes by {name}: `rosella corpus status` lists them.")
        for failure in failed:
            if failure["stage"] == SCAN:
                self._rescan(failure["recording"])
            else:
                self.catalogue.reset(failure["recording"], failure["stage"])
        return [failure["path"] for failure in failed]

    def export(
        self,
        progress: ShowAdvance = unshown,
        where: Sequence[str] = (),
        balance: Balance = Balance(),
        other: Path | None = None,
    ) -> Exported:
        """Publish the utterances that have codes of the latest run's codec; see `corpus.export`."""
        conditions = [Condition.parse(written) for written in where]
        codec = remembered_codec(self.directory)
        return export(self.directory, self.catalogue, codec, progress, conditions, balance, other)

    def _add(self, entry: Entry, facts: dict[str, str | None], result: Added) -> None:
        path = entry.place
        try:
            place = self._place(entry)
            path = shown(place)
            self._take(entry, place, facts, result)
        except (Removed, Corrected) as refused:
            result.failed.append((path, str(refused)))

    def _take(self, entry: Entry, place: str, facts: dict[str, str | None], result: Added) -> None:
        path = shown(place)
        source = source_of(path)
        try:
            check_not_removed(self.catalogue, unread(path, facts).id, path)
            if path != place:
                raise UserError(f"The file name {path} holds unprintable characters: rename it.")
            known = self.catalogue.find(source)
            recording = replace(known, **facts) if known else scan(path, facts)
            check_not_removed(self.catalogue, recording.id, path)
            turns = set_end(entry.turns, recording.duration)
            check_turns(turns, recording.duration)
        except Removed:
            raise
        except UserError as error:
            self.catalogue.add_failed(unread(path, facts), source, entry.turns, str(error))
            result.failed.append((path, str(error)))
            return
        self._give_up_codes_of_another_channel(recording)
        outcome = self.catalogue.add(recording, source, turns)
        failpoint("after-commit", SCAN)
        setattr(result, outcome, getattr(result, outcome) + 1)

    def _give_up_codes_of_another_channel(self, recording: Recording) -> None:
        before = self.catalogue.known(recording.id)
        if before and before.channel != recording.channel:
            for codes in cached_codes(self.directory, recording.id):
                codes.unlink(missing_ok=True)

    def _rescan(self, recording: str) -> None:
        row = self.catalogue.get(recording)
        place = _standing(row.path)
        url = place if is_url(place) else None
        entry = Entry(Path(place), tuple(self.catalogue.turns(recording)), "", url=url)
        self._add(entry, {name: getattr(row, name) for name in FACTS}, Added())

    def _place(self, entry: Entry) -> str:
        """Where the entry's audio stands; what lies inside a data set is written to `audio/` under its hash."""
        if entry.embedded is None:
            return entry.url or os.path.abspath(entry.audio)
        data = entry.embedded()
        id = hashlib.sha256(data).hexdigest()[:32]
        check_not_removed(self.catalogue, id, entry.place)
        suffix = (
            entry.audio.suffix if entry.audio.suffix.isascii() and entry.audio.suffix.isprintable() else ""
        )
        path = self.directory.resolve() / "audio" / f"{id}{suffix}"
        if not path.exists():
            write_bytes(path, data)
        return str(path)


def catalogue_url(directory: Path, url: str | None = None, create: bool = False) -> str:
    """Where the catalogue of a corpus is: `url`, else as the environment says, else in the directory."""
    url = url or os.environ.get(CATALOGUE_VARIABLE)
    if not create and not (directory.is_dir() if url else (directory / CATALOGUE_FILE).is_file()):
        raise UserError(f"{directory} is not a corpus: add recordings with `rosella corpus add` first.")
    return url or f"sqlite:///{directory.resolve() / CATALOGUE_FILE}"


def _goes_by(failure: dict[str, str], name: str) -> bool:
    return name in (failure["recording"], failure["path"], Path(failure["path"]).name)


def _standing(path: str) -> str:
    """Where the file is that the catalogue knows by this path, which is escaped where it cannot be printed."""
    escaped = meant(path)
    return escaped if is_url(path) or (os.path.lexists(escaped) and not os.path.lexists(path)) else path
