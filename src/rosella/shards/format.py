"""The shard format, its one home: codes and transcripts in Parquet, listed by `export.json`.

A shard is immutable. It is written under a temporary name, synced and renamed; `export.json`, written last,
lists the shards with their SHA-256, and `weights.parquet` gives every utterance its weights and its split.
Codes are dictionary-encoded (about 10 bits each on disk at 1,024 entries) and frame-major, in row groups
large enough for the dictionary to pay; a row group is also the unit of random access.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rosella.codec.facts import CodecFacts
from rosella.errors import UserError
from rosella.files import replacing, sha256, write_json
from rosella.records import Utterance

FORMAT_VERSION = 1
PIPELINE_VERSION = "1"
ROW_GROUP_CODES = 1 << 18
EXPORT_FILE = "export.json"
WEIGHTS_FILE = "weights.parquet"
UNTOLD: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
"""Of an export that does not say what is known of its recordings."""

_REWRITTEN_ROWS = 1024
_METADATA_KEY = b"rosella"
_TEXT_COLUMNS = [
    ("id", pa.string()),
    ("recording", pa.string()),
    ("start", pa.float64()),
    ("end", pa.float64()),
    ("text", pa.string()),
    ("text_clean", pa.string()),
    ("speakers", pa.list_(pa.string())),
    ("main_speaker", pa.string()),
    ("language", pa.string()),
]
# No code is null: a level to decode for each of them saves nothing and costs a third of the reading time.
_CODES = pa.field("codes", pa.list_(pa.field("element", pa.uint16(), nullable=False)), nullable=False)
SCHEMA = pa.schema([*_TEXT_COLUMNS, ("frames", pa.int32()), _CODES])


@dataclass(frozen=True)
class Weight:
    """One row of `weights.parquet`: how often an utterance is drawn, how much it counts, where it belongs."""

    sampling: float = 1.0
    loss: float = 1.0
    split: str = "train"


def write_shard(
    path: str | Path, rows: Sequence[tuple[Utterance, np.ndarray]], codec: CodecFacts
) -> dict[str, Any]:
    """Write utterances and their codes, uint16 `[frames, codebooks]`; returns the entry for `export.json`."""
    path = Path(path)
    for utterance, codes in rows:
        _check_codes(utterance.id, codes, codec)
    counts = {"rows": len(rows), "codes": int(sum(codes.size for _, codes in rows))}
    metadata = {"format": FORMAT_VERSION, "pipeline": PIPELINE_VERSION, "codec": asdict(codec), **counts}
    schema = SCHEMA.with_metadata({_METADATA_KEY: json.dumps(metadata).encode()})
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            for group in _row_groups(rows):
                table = _table(group, schema)
                writer.write_table(table, row_group_size=table.num_rows)
        digest = sha256(temporary)
        size = temporary.stat().st_size
    return {"file": path.name, "sha256": digest, "bytes": size, **counts}


def shard_name(recordings: Mapping[str, str]) -> str:
    """The file name of a shard with these recordings, each with a key of what is written of it."""
    return f"{hashlib.sha256(json.dumps(recordings, sort_keys=True).encode()).hexdigest()[:16]}.parquet"


def drop_recordings(source: Path, target: Path, keep: Collection[str], codec: CodecFacts) -> dict[str, Any]:
    """Write a shard anew with the utterances of some of its recordings; returns the entry for `export.json`."""
    table = pq.read_table(source, page_checksum_verification=True)
    table = table.filter(
        pa.array([name in keep for name in table.column("recording").to_pylist()], pa.bool_())
    )
    rows = []
    for record in table.to_batches(max_chunksize=_REWRITTEN_ROWS):
        flat, offsets = record.column("codes").values.to_numpy(), record.column("codes").offsets.to_numpy()
        for facts, (start, end) in zip(
            record.drop_columns("codes").to_pylist(), pairwise(offsets), strict=True
        ):
            codes = flat[start:end].reshape(-1, codec.num_codebooks)
            rows.append((Utterance.from_dict({**facts, "speakers": tuple(facts["speakers"])}), codes))
    return write_shard(target, rows, codec)


def _check_codes(name: str, codes: np.ndarray, codec: CodecFacts) -> None:
    if codes.dtype != np.uint16 or codes.ndim != 2 or codes.shape[1] != codec.num_codebooks:
        raise ValueError(
            f"codes of {name} are {codes.dtype}{list(codes.shape)}, not uint16[frames, {codec.num_codebooks}]"
        )
    if codes.size and int(codes.max()) >= codec.codebook_size:
        raise ValueError(f"codes of {name} reach {codes.max()}, beyond the codebook of {codec.codebook_size}")


def _row_groups(
    rows: Sequence[tuple[Utterance, np.ndarray]],
) -> list[list[tuple[Utterance, np.ndarray]]]:
    """Cut into groups of at least `ROW_GROUP_CODES` codes; a smaller remainder joins the last group."""
    groups: list[list[tuple[Utterance, np.ndarray]]] = [[]]
    size = 0
    for row in rows:
        if size >= ROW_GROUP_CODES:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += row[1].size
    if len(groups) > 1 and size < ROW_GROUP_CODES:
        groups[-2].extend(groups.pop())
    return [group for group in groups if group]


def text_columns(utterance: Utterance) -> dict[str, Any]:
    """What a shard holds of an utterance besides its codes."""
    facts = utterance.to_dict()
    return {name: facts[name] for name, _ in _TEXT_COLUMNS}


def _table(rows: Sequence[tuple[Utterance, np.ndarray]], schema: pa.Schema) -> pa.Table:
    records = [text_columns(utterance) for utterance, _ in rows]
    columns: dict[str, Any] = {
        name: pa.array([record[name] for record in records], type) for name, type in _TEXT_COLUMNS
    }
    columns["frames"] = pa.array([len(codes) for _, codes in rows], pa.int32())
    offsets = np.cumsum([0, *(codes.size for _, codes in rows)], dtype=np.int32)
    flat = np.concatenate([codes.reshape(-1) for _, codes in rows])
    columns["codes"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=_CODES.type)
    return pa.Table.from_pydict(columns, schema=schema)


def write_export(
    directory: str | Path,
    codec: CodecFacts,
    shards: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Weight],
    recordings: Mapping[str, Mapping[str, Any]] = UNTOLD,
) -> None:
    """Publish an export: `weights.parquet` (by utterance id), then `export.json` with `shards` and `recordings`.

    Of a recording by its id: the `seconds` exported of it, and its `language`, `licence` and `consent` where they are known.
    """
    directory = Path(directory)
    table = pa.table(
        {
            "id": pa.array(list(weights), pa.string()),
            "sampling_weight": pa.array([w.sampling for w in weights.values()], pa.float32()),
            "loss_weight": pa.array([w.loss for w in weights.values()], pa.float32()),
            "split": pa.array([w.split for w in weights.values()], pa.string()),
        }
    )
    with replacing(directory / WEIGHTS_FILE) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    manifest = {
        "format": FORMAT_VERSION,
        "pipeline": PIPELINE_VERSION,
        "codec": asdict(codec),
        "rows": sum(shard["rows"] for shard in shards),
        "codes": sum(shard["codes"] for shard in shards),
        "shards": list(shards),
        "recordings": dict(recordings),
    }
    write_json(directory / EXPORT_FILE, manifest, indent=1)


def read_weights(directory: Path) -> dict[str, Weight]:
    """`weights.parquet` of a local corpus directory, by utterance id."""
    rows = pq.read_table(directory / WEIGHTS_FILE, page_checksum_verification=True).to_pylist()
    return {row["id"]: Weight(row["sampling_weight"], row["loss_weight"], row["split"]) for row in rows}


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """`export.json` of a corpus directory (local, or a URL fsspec knows); a UserError where there is none."""
    filesystem, root = fsspec.core.url_to_fs(str(directory))
    try:
        manifest = json.loads(filesystem.cat_file(f"{root}/{EXPORT_FILE}"))
    except FileNotFoundError:
        raise UserError(
            f"{directory} has no {EXPORT_FILE}: run `rosella corpus export` there first."
        ) from None
    except ValueError:
        raise UserError(
            f"{directory}/{EXPORT_FILE} is not valid JSON: run `rosella corpus export` again."
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT_VERSION:
        raise UserError(
            f"{directory}/{EXPORT_FILE} is not of format {FORMAT_VERSION}: run `rosella corpus export` again."
        )
    return manifest
