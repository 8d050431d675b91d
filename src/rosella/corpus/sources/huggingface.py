"""Hugging Face data sets written by `Dataset.save_to_disk`, read with pyarrow alone.

The Arrow files are memory-mapped: audio inside them is fetched row by row as it is added, never all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from rosella.corpus.sources.entries import Entry, Problems, audio_path, folder_name
from rosella.corpus.sources.tables import clip
from rosella.errors import UserError


def recognises(folder: Path) -> bool:
    """Whether a folder holds a saved data set: Arrow files, perhaps in one folder per split."""
    return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    found = (file for pattern in ("*.arrow", "*/*.arrow") for file in folder.glob(pattern))
    return sorted(file for file in found if not file.name.startswith("cache-"))


def read(folder: Path) -> list[Entry]:
    """One entry per row: column `audio` (bytes or path), a text column, and `speaker` where there is one."""
    rows = ((f"row {number}", row) for number, row in enumerate(_rows(folder), 1))
    return Problems(folder).entries(rows, lambda row, where: _entry(*row, where, folder_name(folder)))


def _rows(folder: Path) -> Iterator[tuple[dict[str, Any], Any, Path]]:
    """The columns beside the audio, and the audio still in Arrow's memory."""
    for file in _files(folder):
        for batch in _batches(file):
            if "audio" not in batch.schema.names:
                raise UserError(f"{file} has no column audio: rename the column that holds it.")
            plain = batch.select([name for name in batch.schema.names if name != "audio"])
            yield from ((row, batch.column("audio")[i], file) for i, row in enumerate(plain.to_pylist()))


def _batches(file: Path) -> list[pa.RecordBatch]:
    try:
        return list(pa.ipc.open_stream(pa.memory_map(str(file))))
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} cannot be read as a data set ({error}): save it again.") from None


def _entry(row: dict[str, Any], audio: Any, file: Path, where: str, name: str) -> Entry:
    if isinstance(audio, pa.StringScalar) and audio.is_valid:
        return clip(audio_path(audio.as_py(), file.parent), row, where, name)
    if not isinstance(audio, pa.StructScalar) or not audio.is_valid:
        raise UserError("it has no audio")
    path = audio["path"].as_py()
    if audio["bytes"].is_valid:
        entry = clip(Path(Path(path or where).name), row, where, name)
        return replace(entry, embedded=audio["bytes"].as_py)
    if not path:
        raise UserError("it has no audio")
    return clip(audio_path(path, file.parent), row, where, name)
