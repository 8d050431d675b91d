from __future__ import annotations

import pyarrow as pa
import pytest

from corpus.fakes import save_tone
from rosella.corpus.project import Corpus
from rosella.corpus.sources.read import read_source
from rosella.errors import UserError

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def save_dataset(folder, rows, schema=None):
    """The layout `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file:
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    (folder / "state.json").write_text("{}")


@pytest.fixture
def clips(tmp_path):
    return [save_tone(tmp_path / f"{i}.flac", 2.0, seed=i) for i in range(3)]


def test_embedded_audio_is_read_row_by_row_and_added(tmp_path, clips):
    rows = [
        {"audio": {"bytes": c.read_bytes(), "path": c.name}, "sentence": f"zin {i}", "speaker_id": i}
        for i, c in enumerate(clips)
    ]
    schema = pa.schema([("audio", AUDIO), ("sentence", pa.string()), ("speaker_id", pa.int64())])
    save_dataset(tmp_path / "set" / "train", rows, schema)
    entries = read_source(tmp_path / "set")
    assert [(e.turns[0].text, e.turns[0].speaker) for e in entries] == [
        ("zin 0", "0"),
        ("zin 1", "1"),
        ("zin 2", "2"),
    ]
    assert entries[2].embedded() == clips[2].read_bytes()
    with Corpus.open(tmp_path / "corpus", create=True) as corpus:
        assert corpus.add(tmp_path / "set").added == 3
        assert corpus.add(tmp_path / "set").unchanged == 3
        assert corpus.status().seconds == pytest.approx(6.0)
    assert len(list((tmp_path / "corpus" / "audio").iterdir())) == 3


def test_audio_by_path(tmp_path, clips):
    save_dataset(
        tmp_path / "set",
        [{"audio": {"bytes": None, "path": str(clips[0])}, "text": "hoi"}],
        pa.schema([("audio", AUDIO), ("text", pa.string())]),
    )
    (entry,) = read_source(tmp_path / "set")
    assert entry.audio == clips[0]
    assert entry.turns[0].speaker == "set"


def test_the_library_itself_writes_what_we_read(tmp_path, clips):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict(
        {"audio": [{"bytes": c.read_bytes(), "path": None} for c in clips], "text": ["a", "b", "c"]}
    )
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "set"))
    assert [e.turns[0].text for e in read_source(tmp_path / "set")] == ["a", "b", "c"]


def test_bad_rows_and_files_are_named(tmp_path, clips):
    schema = pa.schema([("audio", AUDIO), ("text", pa.string())])
    good = {"audio": {"bytes": b"x", "path": None}, "text": "hoi"}
    save_dataset(tmp_path / "set", [good, {"audio": None, "text": "hoi"}, {**good, "text": None}], schema)
    with pytest.raises(UserError, match=r"row 2: it has no audio; row 3: it has no text"):
        read_source(tmp_path / "set")
    save_dataset(tmp_path / "other", [{"sound": "x", "text": "y"}])
    with pytest.raises(UserError, match="has no column audio"):
        read_source(tmp_path / "other")
    (tmp_path / "other" / "data-00000-of-00001.arrow").write_bytes(b"garbage")
    with pytest.raises(UserError, match="cannot be read as a data set"):
        read_source(tmp_path / "other")
