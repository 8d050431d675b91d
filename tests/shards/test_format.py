from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rosella import files
from rosella.codec.facts import CodecFacts
from rosella.errors import UserError
from rosella.records import Utterance, utterance_id
from rosella.shards import files as shard_files
from rosella.shards import format, read
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export

CODEC = CodecFacts("fake-1", sample_rate=16000, frame_rate=50.0, num_codebooks=4, codebook_size=256)


def example(number: int, frames: int) -> tuple[Utterance, np.ndarray]:
    codes = np.random.default_rng(number).integers(0, 256, (frames, 4)).astype(np.uint16)
    name = utterance_id(f"rec{number % 3}", float(number), number + frames / 50)
    return Utterance(
        name,
        f"rec{number % 3}",
        float(number),
        number + frames / 50,
        f"[S1] één {number}",
        None,
        ("anna",),
        "anna",
        "nl",
    ), codes


@pytest.fixture
def rows():
    return [example(i, 40 + 7 * i) for i in range(20)]


def publish(directory, rows, cuts=(0, 12, 20)):
    entries = [
        write_shard(directory / "shards" / f"s{i}.parquet", rows[a:b], CODEC)
        for i, (a, b) in enumerate(pairwise(cuts))
    ]
    write_export(
        directory,
        CODEC,
        entries,
        {u.id: Weight(split="validation" if u.recording == "rec1" else "train") for u, _ in rows},
    )


def test_codes_and_texts_come_back_by_position(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(format, "ROW_GROUP_CODES", 1000)
    monkeypatch.setattr(read, "CACHED_ROW_GROUPS", 2)
    publish(tmp_path, rows)
    export = Export.open(tmp_path, expect_fingerprint="fake-1")
    index = export.index().to_pylist()
    assert len(export) == len(index) == 20
    for i in [19, 0, 7, 12, 11, 3, *range(20)]:
        utterance, codes = rows[i]
        assert index[i]["id"] == utterance.id
        assert index[i]["text"] == utterance.text
        assert index[i]["frames"] == len(codes)
        assert index[i]["speakers"] == ["anna"]
        assert index[i]["split"] == ("validation" if utterance.recording == "rec1" else "train")
        np.testing.assert_array_equal(export.codes(i), codes)
    assert export.codes(0).dtype == np.uint16
    assert len(export._cache) <= 2
    with pytest.raises(IndexError):
        export.codes(20)


def test_export_survives_pickling_for_loader_workers(tmp_path, rows):
    publish(tmp_path, rows)
    export = pickle.loads(pickle.dumps(Export.open(tmp_path)))
    np.testing.assert_array_equal(export.codes(5), rows[5][1])


def test_row_groups_hold_enough_codes_for_the_dictionary(tmp_path):
    rows = [example(i, 3000) for i in range(50)]
    write_shard(tmp_path / "s.parquet", rows, CODEC)
    metadata = pq.ParquetFile(tmp_path / "s.parquet").metadata
    assert metadata.num_row_groups == 2
    for i in range(2):
        column = metadata.row_group(i).column(metadata.num_columns - 1)
        assert column.num_values >= format.ROW_GROUP_CODES
        assert "RLE_DICTIONARY" in column.encodings
        assert column.compression == "ZSTD"
    bits = 8 * (tmp_path / "s.parquet").stat().st_size / sum(codes.size for _, codes in rows)
    assert bits < 8.6, "uniform codes of 256 entries need 8 bits each"


def test_shard_metadata_names_the_codec_and_counts(tmp_path, rows):
    entry = write_shard(tmp_path / "s.parquet", rows, CODEC)
    metadata = json.loads(pq.read_schema(tmp_path / "s.parquet").metadata[b"rosella"])
    assert metadata["codec"]["fingerprint"] == "fake-1"
    assert metadata["codec"]["codebook_size"] == 256
    assert metadata["rows"] == entry["rows"] == 20
    assert metadata["codes"] == entry["codes"] == sum(codes.size for _, codes in rows)
    assert metadata["pipeline"] == format.PIPELINE_VERSION


def test_writing_twice_gives_the_same_bytes(tmp_path, rows):
    first, second = (write_shard(tmp_path / name, rows, CODEC) for name in ("a.parquet", "b.parquet"))
    assert first["sha256"] == second["sha256"]


def test_another_codec_is_refused(tmp_path, rows):
    publish(tmp_path, rows)
    with pytest.raises(UserError, match="hold codes of codec fake-1, not other"):
        Export.open(tmp_path, expect_fingerprint="other")


def flip_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_is_found_on_open(tmp_path, rows):
    publish(tmp_path, rows)
    flip_bit(tmp_path / "shards" / "s1.parquet", 2000)
    with pytest.raises(UserError, match=r"s1\.parquet is damaged"):
        Export.open(tmp_path)


def test_a_bit_flipped_after_opening_is_found_by_page_checksums(tmp_path, rows):
    publish(tmp_path, rows, cuts=(0, 20))
    export = Export.open(tmp_path)
    path = tmp_path / "shards" / "s0.parquet"
    metadata = pq.ParquetFile(path).metadata
    chunk = metadata.row_group(0).column(metadata.num_columns - 1)
    flip_bit(path, chunk.data_page_offset + chunk.total_compressed_size // 2)
    with pytest.raises(UserError, match="damaged"):
        export.codes(3)
    assert not export._files._open, "what a remote file has read ahead would stay damaged"


def test_missing_shard_and_missing_export_say_what_to_run(tmp_path, rows):
    with pytest.raises(UserError, match="run `rosella corpus export`"):
        Export.open(tmp_path)
    publish(tmp_path, rows)
    (tmp_path / "shards" / "s0.parquet").unlink()
    with pytest.raises(UserError, match=r"s0\.parquet is missing"):
        Export.open(tmp_path)


def test_an_interrupted_write_leaves_no_shard(tmp_path, rows, monkeypatch):
    def explode(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_sync", explode)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "s.parquet", rows, CODEC)
    assert list(tmp_path.iterdir()) == []


def test_codes_of_the_wrong_shape_or_range_are_not_written(tmp_path, rows):
    utterance, codes = rows[0]
    for wrong in (codes.astype(np.int32), codes[:, :3], codes + np.uint16(256)):
        with pytest.raises(ValueError, match="codes of rec0"):
            write_shard(tmp_path / "s.parquet", [(utterance, wrong)], CODEC)


def test_remote_filesystems_work_too(tmp_path, rows):
    import fsspec

    publish(tmp_path, rows)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/corpus", recursive=True)
    export = Export.open("memory://corpus")
    np.testing.assert_array_equal(export.codes(13), rows[13][1])


def test_no_level_is_stored_for_nulls_that_cannot_be(tmp_path, rows):
    write_shard(tmp_path / "s.parquet", rows, CODEC)
    schema = pq.ParquetFile(tmp_path / "s.parquet").schema
    assert schema.column(len(schema) - 1).max_definition_level == 1, "only empty lists are told apart"


def test_shards_of_nullable_codes_which_were_written_once_still_read(tmp_path, rows, monkeypatch):
    publish(tmp_path / "new", rows)
    nullable = pa.field("codes", pa.list_(pa.uint16()))
    monkeypatch.setattr(format, "_CODES", nullable)
    monkeypatch.setattr(format, "SCHEMA", format.SCHEMA.set(len(format.SCHEMA) - 1, nullable))
    publish(tmp_path / "old", rows)
    monkeypatch.undo()
    old, new = Export.open(tmp_path / "old"), Export.open(tmp_path / "new")
    schema = pq.ParquetFile(tmp_path / "old" / "shards" / "s0.parquet").schema
    assert schema.column(len(schema) - 1).max_definition_level == 3
    assert old.index().equals(new.index())
    for i in range(20):
        np.testing.assert_array_equal(old.codes(i), new.codes(i))


def test_few_files_stay_open_and_none_is_opened_for_every_row_group(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(format, "ROW_GROUP_CODES", 100)
    monkeypatch.setattr(read, "CACHED_ROW_GROUPS", 1)
    monkeypatch.setattr(shard_files, "OPEN_FILES", 2)
    publish(tmp_path, rows, cuts=(0, 4, 8, 12, 16, 20))
    opened, parquet_file = [], pq.ParquetFile
    monkeypatch.setattr(
        pq, "ParquetFile", lambda handle, **more: opened.append(handle) or parquet_file(handle, **more)
    )
    export = Export.open(tmp_path)
    for i in range(20):
        np.testing.assert_array_equal(export.codes(i), rows[i][1])
    assert len(export._groups) == 20
    assert len(opened) <= 10, "five for their row counts, five for their codes"
    assert sum(not handle.closed for handle in opened) <= 2


def test_threads_that_read_at_once_get_their_own_codes(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(format, "ROW_GROUP_CODES", 400)
    monkeypatch.setattr(read, "CACHED_ROW_GROUPS", 1)
    monkeypatch.setattr(shard_files, "OPEN_FILES", 1)
    publish(tmp_path, rows)
    export, order = Export.open(tmp_path), np.random.default_rng(0).integers(0, 20, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        for i, codes in zip(order, pool.map(export.codes, order), strict=True):
            np.testing.assert_array_equal(codes, rows[i][1])


def test_a_shard_that_was_damaged_or_gone_reads_again_once_it_is_back(tmp_path, rows):
    publish(tmp_path, rows, cuts=(0, 20))
    export, path = Export.open(tmp_path), tmp_path / "shards" / "s0.parquet"
    whole, export._files = path.read_bytes(), shard_files.ShardFiles(export._filesystem, str(path.parent))
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        export.codes(3)
    path.write_bytes(whole[:-100] + bytes(100))
    with pytest.raises(UserError, match="is damaged"):
        export.codes(3)
    path.write_bytes(whole)
    np.testing.assert_array_equal(export.codes(3), rows[3][1])
