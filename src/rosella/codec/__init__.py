"""Waveform <-> codes: one interface, two codecs (`dac` for production, `mel` small enough to train in minutes)."""

from __future__ import annotations

import json
from pathlib import Path

from rosella.codec.interface import DAC, MEL, Codec
from rosella.errors import UserError


def load_codec(name_or_path: str | Path, device: str = "cpu") -> Codec:
    """Load `mini` (embedded), a local codec directory, or a DAC by its hub name such as `descript/dac_44khz`."""
    directory = _local_directory(name_or_path)
    if directory is not None and _kind(directory) == MEL:
        from rosella.codec.mel import MelCodec

        return MelCodec.load(directory, device)
    if directory is None and str(name_or_path).count("/") != 1:
        raise UserError(
            f"There is no codec directory {name_or_path}; give a directory or a name such as descript/dac_44khz."
        )
    from rosella.codec.dac import DacCodec

    return DacCodec.load(name_or_path, device)


def _local_directory(name_or_path: str | Path) -> Path | None:
    if str(name_or_path) == "mini":
        from rosella import mini

        return mini.path("codec")
    path = Path(name_or_path)
    return path if path.is_dir() else None


def _kind(directory: Path) -> str:
    try:
        kind = json.loads((directory / "config.json").read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{directory} is not a codec: it needs a config.json that names its model_type."
        ) from error
    if kind not in (DAC, MEL):
        raise UserError(f"{directory} holds a {kind!r}, not a codec; a codec is of type {DAC!r} or {MEL!r}.")
    return kind
