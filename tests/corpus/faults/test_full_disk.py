from __future__ import annotations

import pytest

from corpus.fakes import FakeCodec, save_manifest, save_tone, small_source, turn
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.errors import NoSpace
from rosella.shards.read import Export
from support import fill


@pytest.mark.parametrize("leave", [0, 8192, 16384, 32768, 65536, 131072])
def test_wherever_the_disk_fills_up_nothing_done_is_lost(small_disk, tmp_path, leave):
    source = small_source(tmp_path / "source")
    save_tone(tmp_path / "big.wav", 300.0, seed=5)
    turns = [turn(i, i + 2) for i in range(0, 298, 5)]
    big = save_manifest(tmp_path / "big.jsonl", [{"audio": "big.wav", "turns": turns}])
    with Corpus.open(small_disk, create=True) as corpus:
        corpus.add(source)
        corpus.run(Models(FakeCodec()))
        corpus.export()
    fill(small_disk, leave)

    def everything():
        with Corpus.open(small_disk) as corpus:
            corpus.add(big)
            corpus.run(Models(FakeCodec()))
            return corpus.export()

    with pytest.raises(NoSpace, match="No space left") as error:
        everything()
    assert "\n" not in str(error.value)
    assert len(Export.open(small_disk)) == 6
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "filler").unlink()
    assert everything().utterances == 6 + len(turns)
    with Corpus.open(small_disk) as corpus:
        assert corpus.status().failed == []
