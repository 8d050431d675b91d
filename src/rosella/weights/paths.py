"""Where a model lies on disk, and which of its files hold what."""

from __future__ import annotations

import os
from pathlib import Path

from rosella.errors import UserError
from rosella.weights.card import CARD
from rosella.weights.configs import CONFIG, read_json
from rosella.weights.tensors import INDEX, PICKLES, WEIGHTS

_SUFFIXES = (".safetensors", *PICKLES)


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Where a model lies: the embedded one, the path itself, or the hub's snapshot of that name."""
    if str(name_or_path) == "mini":
        from rosella import mini

        return mini.path("model")
    path = Path(name_or_path)
    if path.exists():
        return path
    name = os.fspath(name_or_path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"There is no model {name}; give a directory, a file or a name such as nari-labs/Dia-1.6B-0626."
        )
    try:
        return _fetch(name)
    except Exception as error:  # the hub client raises many kinds; all mean that the model is not at hand
        raise UserError(
            f"The model {name} could not be fetched from the hub ({type(error).__name__}); "
            "check the name and the network, or download it elsewhere and give its directory."
        ) from error


def _fetch(name: str) -> Path:
    """The hub's snapshot, with pickles only where there is nothing else."""
    from huggingface_hub import snapshot_download

    found = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", CARD]))
    if list(found.glob("*.safetensors")):
        return found
    return Path(
        snapshot_download(name, allow_patterns=["*.json", CARD, *(f"*{suffix}" for suffix in PICKLES)])
    )


def config_beside(path: Path) -> Path | None:
    """The `config.json` in a directory, or beside a file."""
    found = (path if path.is_dir() else path.parent) / CONFIG
    return found if found.is_file() else None


def weight_files(path: Path) -> list[Path]:
    """The weight files of a home: the file itself, the shards of an index, or the only one of a directory."""
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(
                f"The file {path} is none of {', '.join(_SUFFIXES)}; give the weights of a model."
            )
        return [path]
    if (path / INDEX).is_file():
        shards = read_json(path / INDEX).get("weight_map", {}).values()
        files = [path / name for name in sorted(set(shards))]
    elif (path / WEIGHTS).is_file():
        files = [path / WEIGHTS]
    else:
        files = [file for suffix in _SUFFIXES for file in sorted(path.glob(f"*{suffix}"))]
    absent = [file.name for file in files if not file.is_file()]
    if absent or not files:
        raise UserError(
            f"The model directory {path} lacks {', '.join(absent) or WEIGHTS}; copy the whole model again."
        )
    if len(files) > 1 and not (path / INDEX).is_file():
        raise UserError(
            f"The directory {path} holds {', '.join(file.name for file in files)}; give the file that you mean."
        )
    return files
