"""Clearing up: superseded shards, codes nobody needs, files that were never finished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rosella.corpus.codes import CodesCache, cached_codes, remembered_codec
from rosella.corpus.project import Corpus
from rosella.corpus.stage import SCAN
from rosella.errors import UserError
from rosella.files import TEMPORARY
from rosella.shards.format import read_manifest

GRACE = 86_400.0
"""Seconds that a file keeps after it was written: an export or a training may be busy with it."""


@dataclass
class Cleared:
    """Files deleted, by kind, and the bytes they took."""

    shards: int = 0
    codes: int = 0
    temporaries: int = 0
    bytes: int = 0


def collect(corpus: Corpus, grace: float = GRACE) -> Cleared:
    """Delete what has not been needed for `grace` seconds."""
    cleared, before = Cleared(), time.time() - grace
    for kind, paths in (
        ("temporaries", corpus.directory.rglob(TEMPORARY)),
        ("shards", _superseded(corpus.directory)),
        ("codes", _unneeded(corpus)),
    ):
        for path in [path for path in paths if path.stat().st_mtime <= before]:
            cleared.bytes += path.stat().st_size
            path.unlink()
            setattr(cleared, kind, getattr(cleared, kind) + 1)
    return cleared


def _superseded(directory: Path) -> Iterator[Path]:
    """Shards that the export does not list; without an export none is known to be superseded."""
    try:
        listed = {shard["file"] for shard in read_manifest(directory)["shards"]}
    except UserError:
        return
    yield from (path for path in directory.glob("shards/*.parquet") if path.name not in listed)


def _unneeded(corpus: Corpus) -> Iterator[Path]:
    """Codes of other codecs than the latest run's, and of recordings that are gone."""
    try:
        latest = CodesCache(corpus.directory, remembered_codec(corpus.directory).fingerprint).folder
    except UserError:
        return
    known = {recording.id for recording in corpus.catalogue.done(SCAN, "")}
    for path in cached_codes(corpus.directory):
        if path.parent != latest or path.stem not in known:
            yield path
