from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rosella.codec.facts import CodecFacts
from rosella.corpus.export.mix import Mixed, mix
from rosella.errors import UserError
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export

CODEC = CodecFacts("tiny", sample_rate=16000, frame_rate=50.0, num_codebooks=3, codebook_size=16)


def written(directory: Path, recording: str, seconds: list[float], weights: list[Weight]) -> list[Utterance]:
    """An export of one recording; returns its utterances."""
    said = [
        Utterance(
            utterance_id(recording, 10.0 * n, 10.0 * n + s), recording, 10.0 * n, 10.0 * n + s, "[S1] ja"
        )
        for n, s in enumerate(seconds)
    ]
    rows = [(each, np.zeros((round(50 * (each.end - each.start)), 3), np.uint16)) for each in said]
    entry = write_shard(directory / "shards" / f"{recording}.parquet", rows, CODEC)
    told = {recording: {"seconds": sum(seconds), "licence": "CC0-1.0"}}
    write_export(directory, CODEC, [entry], {u.id: w for u, w in zip(said, weights, strict=True)}, told)
    return said


@pytest.fixture
def exports(tmp_path):
    own = written(
        tmp_path / "own", "new", [2.0, 4.0, 5.0], [Weight(1.0), Weight(2.0), Weight(1.0, 1.0, "validation")]
    )
    written(tmp_path / "old", "old", [8.0, 3.0], [Weight(4.0, 0.5), Weight(1.0, 1.0, "validation")])
    return tmp_path, own


def mixed(exports, share=0.5) -> Mixed:
    folder, own = exports
    weights = dict(
        zip((u.id for u in own), (Weight(1.0), Weight(2.0), Weight(1.0, 1.0, "validation")), strict=True)
    )
    return mix(folder / "old", folder / "own", CODEC, own, weights, share)


@pytest.mark.parametrize(("share", "drawn"), [(0.5, 10.0), (0.2, 2.5)])
def test_a_share_of_the_seconds_that_are_drawn_is_mixed_in(exports, share, drawn):
    train, validation = mixed(exports, share).weights.values()
    assert 8.0 * train.sampling == pytest.approx(drawn), "of the corpus's own 2 + 2 x 4 seconds are drawn"
    assert (train.loss, train.split, validation.split) == (0.5, "train", "validation")


def test_what_is_mixed_in_lies_in_the_corpus_and_is_read_with_it(exports):
    folder, _ = exports
    found = mixed(exports)
    manifest = Export.open(folder / "own").shards
    write_export(folder / "own", CODEC, [*manifest, *found.shards], dict(found.weights), found.recordings)
    both = Export.open(folder / "own")
    assert [len(both), both.recordings["old"]["licence"]] == [5, "CC0-1.0"]
    assert both.codes(4).shape == (150, 3)


def test_what_the_corpus_has_itself_is_not_mixed_in(exports):
    folder, own = exports
    weights = {u.id: Weight() for u in own}
    with pytest.raises(UserError, match="holds 3 utterances that .*own has too, "):
        mix(folder / "own", folder / "own", CODEC, own, weights)


def test_codes_of_another_codec_are_not_mixed_in(exports):
    folder, own = exports
    other = CodecFacts("large", sample_rate=16000, frame_rate=50.0, num_codebooks=3, codebook_size=16)
    with pytest.raises(UserError, match="hold codes of codec"):
        mix(folder / "old", folder / "own", other, own, {})
