"""Another export mixed into a corpus's own: what a model knew, so that it keeps that while it learns something else."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rosella.codec.facts import CodecFacts
from rosella.errors import UserError
from rosella.files import replacing
from rosella.records import Utterance
from rosella.shards.format import Weight, read_weights
from rosella.shards.read import Export


@dataclass(frozen=True)
class Mixed:
    """What an export takes over from another: its shards, which lie in the corpus now, weights and recordings."""

    shards: Sequence[dict[str, Any]] = ()
    weights: Mapping[str, Weight] = field(default_factory=dict)
    recordings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def mix(
    other: Path,
    corpus: Path,
    codec: CodecFacts,
    utterances: Iterable[Utterance],
    weights: Mapping[str, Weight],
) -> Mixed:
    """Take over another export, so weighed that half of the seconds that training draws are of it.

    `weights` are those of the corpus's own `utterances`. Raises UserError where the other is no export of the same codec, or
    holds an utterance of the corpus.
    """
    export = Export.open(other, codec.fingerprint)
    theirs = read_weights(other)
    rows = export.index(["id", "start", "end"]).to_pylist()
    if both := weights.keys() & theirs.keys():
        raise UserError(
            f"{other} holds {len(both)} utterances that {corpus} has too, {min(both)} among them: mix in another export."
        )
    own = _drawn((u.end - u.start, weights[u.id]) for u in utterances)
    taken = _drawn((row["end"] - row["start"], theirs[row["id"]]) for row in rows)
    factor = own / taken if taken else 1.0
    for shard in export.shards:
        with replacing(corpus / "shards" / shard["file"]) as temporary:
            shutil.copyfile(other / "shards" / shard["file"], temporary)
    weighed = {id: replace(weight, sampling=weight.sampling * factor) for id, weight in theirs.items()}
    return Mixed(export.shards, weighed, export.recordings)


def _drawn(spoken: Iterable[tuple[float, Weight]]) -> float:
    """Seconds of training that are drawn when each utterance is as often as its weight says."""
    return sum(seconds * weight.sampling for seconds, weight in spoken if weight.split == "train")
