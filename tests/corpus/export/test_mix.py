from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from corpus.fakes import FakeCodec, small_source
from rosella.codec.facts import CodecFacts
from rosella.corpus.export.mix import Mixed, mix
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.errors import NoSpace, UserError
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export
from support import fill

CODEC = CodecFacts("tiny", sample_rate=16000, frame_rate=50.0, num_codebooks=3, codebook_size=16)


def written(
    directory: Path, recording: str, seconds: list[float], weights: list[Weight], codec: CodecFacts = CODEC
) -> list[Utterance]:
    """An export of one recording, by another program than `corpus export`; returns its utterances."""
    said = [
        Utterance(
            utterance_id(recording, 10.0 * n, 10.0 * n + s), recording, 10.0 * n, 10.0 * n + s, "[S1] ja"
        )
        for n, s in enumerate(seconds)
    ]
    shapes = [(round(50 * (each.end - each.start)), codec.num_codebooks) for each in said]
    rows = [
        (each, np.random.default_rng(0).integers(0, codec.codebook_size, shape, np.uint16))
        for each, shape in zip(said, shapes, strict=True)
    ]
    entry = write_shard(directory / "shards" / f"{recording}.parquet", rows, codec)
    told = {recording: {"seconds": sum(seconds), "licence": "CC0-1.0"}}
    write_export(directory, codec, [entry], {u.id: w for u, w in zip(said, weights, strict=True)}, told)
    return said


@pytest.fixture
def exports(tmp_path):
    own = written(
        tmp_path / "own", "new", [2.0, 4.0, 5.0], [Weight(1.0), Weight(2.0), Weight(1.0, 1.0, "validation")]
    )
    written(tmp_path / "old", "old", [8.0, 3.0], [Weight(4.0, 0.5), Weight(1.0, 1.0, "validation")])
    return tmp_path, own


def mixed(exports) -> Mixed:
    folder, own = exports
    weights = dict(
        zip((u.id for u in own), (Weight(1.0), Weight(2.0), Weight(1.0, 1.0, "validation")), strict=True)
    )
    return mix(folder / "old", folder / "own", CODEC, own, weights)


def test_half_of_the_seconds_that_are_drawn_are_mixed_in(exports):
    train, validation = mixed(exports).weights.values()
    assert 8.0 * train.sampling == pytest.approx(2.0 + 2 * 4.0), "as many as of the corpus's own"
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


@pytest.fixture
def filled(tmp_path):
    """A corpus of six utterances, in a folder; and the facts of its codec."""

    def fill_it(folder: Path) -> CodecFacts:
        with Corpus.open(folder, create=True) as corpus:
            corpus.add(small_source(tmp_path / "source"))
            corpus.run(Models(FakeCodec()))
            corpus.export()
        return Export.open(folder).codec

    return fill_it


def test_each_export_says_anew_what_is_mixed_in(tmp_path, filled):
    other, codec = tmp_path / "other", filled(tmp_path / "own")
    written(other, "old", [8.0, 3.0], [Weight(), Weight(1.0, 1.0, "validation")], codec)
    found = []
    with Corpus.open(tmp_path / "own") as corpus:
        for each in (other, other, None):
            written_anew = corpus.export(other=each).written
            export = Export.open(tmp_path / "own")
            found.append((written_anew, len(export.index()), "old" in export.recordings))
    assert found == [(0, 8, True), (0, 8, True), (0, 6, False)]


def test_a_full_disk_while_mixing_leaves_the_export_of_before(small_disk, tmp_path, filled):
    other, codec = tmp_path / "other", filled(small_disk)
    written(other, "old", [2000.0], [Weight()], codec)
    fill(small_disk, 65536)
    with Corpus.open(small_disk) as corpus:
        with pytest.raises(NoSpace, match="No space left"):
            corpus.export(other=other)
        assert len(Export.open(small_disk)) == 6
        assert not list(small_disk.rglob("*.tmp"))
        (small_disk / "filler").unlink()
        assert corpus.export(other=other).utterances == 7
