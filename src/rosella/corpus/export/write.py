"""Catalogue and cached codes -> shards, weights and splits. Shards that are still right are left alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rosella.codec.facts import CodecFacts
from rosella.corpus.catalogue.status import Status
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.voices import link_speakers
from rosella.corpus.catalogue.voices import voices as voices_of
from rosella.corpus.codes import CodesCache, version
from rosella.corpus.engines.progress import EXPORT, Advance, ShowAdvance, unshown
from rosella.corpus.export.balance import Balance
from rosella.corpus.export.mix import Mixed, mix
from rosella.corpus.export.where import Condition, choose, implied_conditions
from rosella.corpus.stage import TOKENIZE
from rosella.errors import UserError
from rosella.records import Recording, Utterance, fraction
from rosella.shards.format import Weight, read_manifest, shard_name, text_columns, write_export, write_shard

SHARD_CODES = 1 << 25
"""Codes after which a shard is closed: about 12 hours and 40 MB at nine codebooks of 86 frames/s."""

SHOWN = 3
"""Reasons that are named where nothing can be exported."""

VALIDATION_SHARE = 0.05
MIN_SHOWS = 10
"""With fewer shows than this, recordings are held out instead: a whole show would be too much."""


@dataclass(frozen=True)
class Exported:
    """What an export holds: shards (`written` ones are new), utterances (and those for validation), hours.

    `doubtful` utterances were left out because they do not fulfil `where.KNOWN`.
    """

    shards: int
    written: int
    utterances: int
    validation: int
    hours: float
    bytes: int
    doubtful: int


@dataclass(frozen=True)
class _Content:
    recording: Recording
    utterances: list[Utterance]
    key: str


def export(
    corpus: Path,
    catalogue: Catalogue,
    codec: CodecFacts,
    progress: ShowAdvance = unshown,
    where: Sequence[Condition] = (),
    balance: Balance = Balance(),
    other: Path | None = None,
) -> Exported:
    """Write what is missing and publish it. The old export stays valid until the new one is complete.

    Only utterances that fulfil all conditions of `where`, and `KNOWN` unless one is about the same, are exported;
    `balance` is computed over these. An `other` export is mixed in as it is, and half of what is drawn then comes from it.
    """
    cache = CodesCache(corpus, codec.fingerprint)
    contents, doubtful = {}, 0
    link_speakers(catalogue)
    for recording in catalogue.done(TOKENIZE, version(codec)):
        voices = voices_of(catalogue, recording.id)
        spoken = [_with_voices(u, voices) for u in catalogue.worded(recording.id, version(codec))]
        wanted = choose(recording, spoken, where)
        known = choose(recording, wanted, implied_conditions(where))
        doubtful += len(wanted) - len(known)
        content = _content(recording, known, codec)
        if content.utterances:
            contents[recording.id] = content
    kept = _kept_shards(corpus, codec, contents)
    covered = {recording for shard in kept for recording in shard["recordings"]}
    missing = [content for id, content in contents.items() if id not in covered]
    written = list(_write(corpus, cache, missing, codec, progress))
    shards = sorted([*kept, *written], key=lambda shard: shard["file"])
    if not shards:
        raise UserError(_nothing(corpus, bool(where), doubtful, catalogue))
    splits = assign_splits([content.recording for content in contents.values()])
    utterances = [utterance for content in contents.values() for utterance in content.utterances]
    sampling, loss = balance.sampling(utterances), balance.loss(utterances)
    weights = {u.id: Weight(sampling[u.id], loss[u.id], splits[u.recording]) for u in utterances}
    told = {id: _told(content) for id, content in contents.items()}
    mixed = mix(other, corpus, codec, utterances, weights) if other else Mixed()
    shards, weights = [*shards, *mixed.shards], {**weights, **mixed.weights}
    write_export(corpus, codec, shards, weights, {**told, **mixed.recordings})
    return _summary(shards, len(written), weights, codec, doubtful)


def _nothing(corpus: Path, where: bool, doubtful: int, catalogue: Catalogue) -> str:
    if doubtful:
        return (
            f"The recogniser guessed at all {doubtful} utterances in {corpus} that could be exported: "
            "run with another, or take them all the same with --where 'confidence>=-9'."
        )
    what = " that fulfils the conditions" if where else ""
    return f"No utterance in {corpus}{what} has codes: {_why(catalogue.status())}."


def _with_voices(utterance: Utterance, voices: Mapping[str, str]) -> Utterance:
    """The speakers' names across recordings in place of those they have in this one."""
    main = utterance.main_speaker
    return replace(
        utterance,
        speakers=tuple(voices.get(name, name) for name in utterance.speakers),
        main_speaker=main and voices.get(main, main),
    )


def assign_splits(recordings: Sequence[Recording]) -> dict[str, str]:
    """Recording id -> "train" or "validation", by a hash of the show; with few shows, of the recording.

    With two units or more, at least one is in each split; a single one is all training.
    """
    shows = {recording.show for recording in recordings if recording.show}
    by_show = len(shows) >= MIN_SHOWS
    unit = {r.id: f"show:{r.show}" if by_show and r.show else r.id for r in recordings}
    ranked = sorted(set(unit.values()), key=fraction)
    if len(ranked) < 2:
        return dict.fromkeys(unit, "train")
    share = sum(fraction(name) < VALIDATION_SHARE for name in ranked)
    held_out = set(ranked[: min(max(share, 1), len(ranked) - 1)])
    return {id: "validation" if name in held_out else "train" for id, name in unit.items()}


def _content(recording: Recording, utterances: list[Utterance], codec: CodecFacts) -> _Content:
    facts: list[Any] = [version(codec), [text_columns(utterance) for utterance in utterances]]
    if recording.channel is not None:  # its codes are others than those of all channels
        facts.append(recording.channel)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return _Content(recording, utterances, key)


def _told(content: _Content) -> dict[str, Any]:
    """What those who train on a recording are told of it, besides what is said."""
    known = {name: getattr(content.recording, name) for name in ("language", "licence", "consent")}
    seconds = sum(utterance.end - utterance.start for utterance in content.utterances)
    return {"seconds": round(seconds, 3), **{name: value for name, value in known.items() if value}}


def _kept_shards(corpus: Path, codec: CodecFacts, contents: dict[str, _Content]) -> list[dict[str, Any]]:
    """Shards of the present export all of whose recordings would be written as they are."""
    try:
        manifest = read_manifest(corpus)
    except UserError:
        return []
    if CodecFacts(**manifest["codec"]) != codec:
        return []
    wanted = {(id, content.key) for id, content in contents.items()}
    return [
        shard
        for shard in manifest["shards"]
        if "recordings" in shard  # one mixed in may not say
        and shard["recordings"].items() <= wanted
        and _is_there(corpus / "shards" / shard["file"], shard)
    ]


def _is_there(path: Path, shard: dict[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == shard["bytes"]


def _write(
    corpus: Path,
    cache: CodesCache,
    contents: Sequence[_Content],
    codec: CodecFacts,
    progress: ShowAdvance,
) -> Iterator[dict[str, Any]]:
    done = 0
    for group in _groups(contents, cache):
        recordings = {content.recording.id: content.key for content, _ in group}
        rows = [(u, codes[u.id]) for content, codes in group for u in content.utterances if u.id in codes]
        if rows:
            entry = write_shard(corpus / "shards" / shard_name(recordings), rows, codec)
            yield {**entry, "recordings": recordings}
        done += len(group)
        progress(Advance(EXPORT, done, len(contents)))


def _groups(
    contents: Iterable[_Content], cache: CodesCache
) -> Iterator[list[tuple[_Content, dict[str, np.ndarray]]]]:
    """Whole recordings, with their codes, up to the size of a shard."""
    group: list[tuple[_Content, dict[str, np.ndarray]]] = []
    size = 0
    for content in contents:
        codes = dict(cache.read(content.recording.id))
        group.append((content, codes))
        size += sum(array.size for array in codes.values())
        if size >= SHARD_CODES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _why(status: Status) -> str:
    """What became of the recordings instead."""
    reasons = [f"{part.spans} × {part.reason}" for part in status.left_out]
    if status.failed:
        reasons.append(
            f"{len(status.failed)} recordings failed, the first of them: {status.failed[0]['reason']}"
        )
    if not reasons:
        return "they wait for `rosella corpus run`"
    return f"{'; '.join(reasons[:SHOWN]).rstrip('.')}; `rosella corpus status` has all"


def _summary(
    shards: Sequence[dict[str, Any]],
    written: int,
    weights: dict[str, Weight],
    codec: CodecFacts,
    doubtful: int,
) -> Exported:
    frames = sum(shard["codes"] for shard in shards) / codec.num_codebooks
    return Exported(
        shards=len(shards),
        written=written,
        utterances=sum(shard["rows"] for shard in shards),
        validation=sum(weight.split == "validation" for weight in weights.values()),
        hours=frames / codec.frame_rate / 3600,
        bytes=sum(shard["bytes"] for shard in shards),
        doubtful=doubtful,
    )
