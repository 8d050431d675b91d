"""Model directories in Transformers' format: `config.json`, `generation_config.json`, safetensors.

What is written loads with `transformers.DiaForConditionalGeneration.from_pretrained`, and what that class
writes loads here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.convert import mapping
from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def load_model(name_or_path: str | os.PathLike[str]) -> tuple[Dia, DiaConfig]:
    """A model and its configuration from a directory, or from the hub by name; parameters are float32.

    Raises UserError when it cannot be found, or when tensors are missing, unexpected or misshaped (all are
    listed).
    """
    directory = find_directory(name_or_path)
    config = DiaConfig.from_dict(_read_json(directory / "config.json"))
    model = nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0)))
    graph, state = nnx.split(model)
    params = dict(nnx.to_flat_state(state))
    values = {path: np.empty(leaf.shape, np.float32) for path, leaf in params.items()}
    places = mapping.places(config)
    _check(directory, places, values)
    for name, tensor in _tensors(directory):
        place = places[name]
        target = values[place.path] if place.layer is None else values[place.path][place.layer]
        target[...] = mapping.to_ours(place, tensor, target.shape)
    filled = [(path, leaf.replace(jnp.asarray(values.pop(path)))) for path, leaf in params.items()]
    return nnx.merge(graph, nnx.from_flat_state(filled)), config


def save_model(
    directory: str | os.PathLike[str], model: Dia, config: DiaConfig, dtype: str = "float32"
) -> None:
    """Writes a model directory; each file appears whole or not at all. A `dtype` of float16 halves it."""
    from safetensors.numpy import save_file

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    values = {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    tensors = {}
    for name, place in mapping.places(config).items():
        ours = values[place.path] if place.layer is None else values[place.path][place.layer]
        tensors[name] = mapping.to_stored(place, ours).astype(dtype)
    with _replacing(directory / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    _write_json(directory / "generation_config.json", _generation_config(config))
    _write_json(directory / "config.json", {**config.to_dict(), "dtype": dtype})


def find_directory(name_or_path: str | os.PathLike[str]) -> Path:
    """The local directory of a model: the embedded one, the path itself, or the hub's snapshot of that name."""
    if str(name_or_path) == "mini":
        from rosella import mini

        return mini.path("model")
    directory = Path(name_or_path)
    if directory.is_dir():
        return directory
    name = os.fspath(name_or_path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"There is no model directory {name}; give a directory or a name such as nari-labs/Dia-1.6B-0626."
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the hub client raises many kinds; all mean that the model is not at hand
        raise UserError(
            f"The model {name} could not be fetched from the hub ({type(error).__name__}); "
            "check the name and the network, or download it elsewhere and give its directory."
        ) from error


def _check(directory: Path, places: dict[str, mapping.Place], values: dict[mapping.Path, np.ndarray]) -> None:
    stored = {name: shape for path in _files(directory) for name, shape in _shapes(path).items()}
    wanted = {}
    for name, place in places.items():
        ours = values[place.path].shape
        wanted[name] = mapping.stored_shape(place, ours if place.layer is None else ours[1:])
    faults = [f"missing {name}" for name in sorted(wanted.keys() - stored.keys())]
    faults += [f"unexpected {name}" for name in sorted(stored.keys() - wanted.keys())]
    both = sorted(wanted.keys() & stored.keys())
    faults += [
        f"{name} is {stored[name]}, not {wanted[name]}" for name in both if stored[name] != wanted[name]
    ]
    if faults:
        raise UserError(
            f"The weights in {directory} do not fit its config.json ({'; '.join(faults)}); "
            "use files of one model."
        )


def _files(directory: Path) -> list[Path]:
    """The safetensors files of a directory: one, or the shards its index names."""
    if (directory / INDEX).is_file():
        files = [
            directory / name for name in sorted(set(_read_json(directory / INDEX)["weight_map"].values()))
        ]
    else:
        files = [directory / WEIGHTS]
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise UserError(
            f"The model directory {directory} lacks {', '.join(absent)}; copy the whole model again."
        )
    return files


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _tensors(directory: Path) -> Iterator[tuple[str, np.ndarray]]:
    """One tensor after another, so that the memory needed beside the model is that of the largest."""
    for path in _files(directory):
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)


def _opened(path: Path) -> Any:
    import ml_dtypes  # noqa: F401  NumPy reads bfloat16 through it
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise UserError(f"The weights {path} are damaged ({error}); copy or download them again.") from error


def _generation_config(config: DiaConfig) -> dict[str, Any]:
    decoder = config.decoder
    return {
        "bos_token_id": decoder.bos_token_id,
        "decoder_start_token_id": decoder.bos_token_id,
        "eos_token_id": decoder.eos_token_id,
        "pad_token_id": decoder.pad_token_id,
        "max_length": decoder.max_position_embeddings,
        "do_sample": config.temperature > 0,
        "guidance_scale": config.guidance,
        "temperature": config.temperature or 1.0,
        "top_k": 50,
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"There is no {path}; give the directory of a whole model.") from error
    except ValueError as error:
        raise UserError(f"The file {path} is not valid JSON; copy the model again.") from error


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with _replacing(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf-8")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place, synced, when the block succeeds."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
