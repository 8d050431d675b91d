"""Removal for good, where consent is withdrawn: nothing of a recording stays in the corpus but a hash.

A speaker goes with every recording they are named in, as a whole: turns may be attributed wrongly, and voices overlap.
Files are purged before the catalogue forgets, so that a removal that was interrupted is repeated under the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from rosella.codec.facts import CodecFacts
from rosella.corpus.catalogue.removal import Named, purge
from rosella.corpus.operate.backup import purge_backups
from rosella.corpus.project import Corpus
from rosella.files import TEMPORARY
from rosella.runs import RECORDINGS_FILE
from rosella.shards.format import (
    EXPORT_FILE,
    UNTOLD,
    drop_recordings,
    read_manifest,
    read_weights,
    shard_name,
    write_export,
)

REPORT = "report.html"
_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass
class Removal:
    """What was removed: files deleted, shards written anew without it; and the runs that were trained on it."""

    recordings: Sequence[Named]
    files: int = 0
    shards: int = 0
    backups: int = 0
    runs: list[str] = field(default_factory=list)


def remove(corpus: Corpus, recordings: Sequence[Named], runs: Path) -> Removal:
    """Purge recordings from files, backups and the catalogue. No worker may be at work on the corpus."""
    ids = {recording.id for recording in recordings}
    result = Removal(recordings, runs=list(trained_on(runs, corpus.directory, ids)))
    result.shards = _purge_shards(corpus.directory, ids)
    result.files = _purge_files(corpus.directory, ids)
    result.backups = purge_backups(corpus.directory, ids)
    purge(corpus.catalogue.engine, ids)
    return result


def _purge_files(directory: Path, ids: Collection[str]) -> int:
    """Cached codes and audio of the recordings, the report that shows them, and whatever was half written."""
    named = [
        path
        for folder in ("cache", "audio")
        for path in (directory / folder).rglob("*")
        if path.is_file() and any(found in ids for found in _HASH.findall(path.name))
    ]
    gone = {*named, *directory.rglob(TEMPORARY), *directory.glob(REPORT)}
    for path in gone:
        path.unlink()
    return len(gone)


def _purge_shards(directory: Path, ids: Set[str]) -> int:
    """Write affected shards anew without the recordings; delete the old ones, and those of older exports."""
    affected = [path for path in sorted((directory / "shards").glob("*.parquet")) if _holds(path, ids)]
    if (directory / EXPORT_FILE).exists():
        _publish_without(directory, {path.name for path in affected}, ids)
    for path in affected:
        path.unlink()
    return len(affected)


def _holds(shard: Path, ids: Set[str]) -> bool:
    column = pq.read_table(shard, columns=["recording"]).column("recording")
    return not ids.isdisjoint(column.unique().to_pylist())


def _publish_without(directory: Path, affected: Collection[str], ids: Set[str]) -> None:
    manifest = read_manifest(directory)
    codec = CodecFacts(**manifest["codec"])
    shards = []
    for shard in manifest["shards"]:
        if shard["file"] not in affected:
            shards.append(shard)
        elif left := {id: key for id, key in shard["recordings"].items() if id not in ids}:
            shards.append(_rewritten(directory, shard["file"], left, codec))
    weights = {id: weight for id, weight in read_weights(directory).items() if id[:32] not in ids}
    told = {id: facts for id, facts in manifest.get("recordings", UNTOLD).items() if id not in ids}
    write_export(directory, codec, shards, weights, told)


def _rewritten(directory: Path, file: str, left: dict[str, str], codec: CodecFacts) -> dict[str, Any]:
    folder = directory / "shards"
    written = drop_recordings(folder / file, folder / shard_name(left), set(left), codec)
    return {**written, "recordings": left}


def trained_on(runs: Path, corpus: Path, ids: Set[str]) -> Iterator[str]:
    """The runs below a folder that saw one of the recordings, or, where they do not say, this corpus."""
    for recipe in sorted(runs.rglob("recipe.yaml")):
        seen = recipe.parent / RECORDINGS_FILE
        if seen.exists():
            saw = not ids.isdisjoint(json.loads(seen.read_text("utf-8")))
        else:
            data = (yaml.safe_load(recipe.read_text("utf-8")) or {}).get("data") or {}
            saw = Path(str(data.get("export"))).resolve() == corpus.resolve()
        if saw:
            yield str(recipe.parent)
