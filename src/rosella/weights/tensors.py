"""Tensor files, one tensor at a time: safetensors read and written, PyTorch pickles only read.

Every read opens the file anew and closes it, so that no more than one tensor is ever held in memory.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from rosella.errors import UserError
from rosella.files import replacing

if TYPE_CHECKING:
    import torch

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".pth", ".pt", ".bin")
_CODES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
DTYPES: dict[str, np.dtype] = {dtype.name: dtype for dtype in _CODES.values()}


class Stored(NamedTuple):
    """What a file says of a tensor; `dtype` is None for a type that no weight of ours may have."""

    shape: tuple[int, ...]
    dtype: np.dtype | None


class Tensors(NamedTuple):
    """Tensors by name, and how to read one."""

    stored: dict[str, Stored]
    read: Callable[[str], np.ndarray]


def widest(stored: Iterable[Stored]) -> np.dtype:
    """The type that holds every value of these tensors."""
    return np.result_type(*{each.dtype for each in stored if each.dtype is not None})


def open_files(files: Sequence[Path]) -> Tensors:
    """The tensors of safetensors files, or of one pickle; UserError when a file is damaged or unsafe."""
    if files[0].suffix in PICKLES:
        return _open_pickle(files[0])
    listed = {name: (path, stored) for path in files for name, stored in _list_safetensors(path).items()}

    def read(name: str) -> np.ndarray:
        with _safetensors(listed[name][0]) as file:
            return file.get_tensor(name)

    return Tensors({name: stored for name, (_, stored) in listed.items()}, read)


def write_safetensors(path: Path, tensors: Tensors) -> None:
    """Writes `tensors` in their order, reading one at a time; the file appears whole or not at all.

    The format is https://github.com/huggingface/safetensors: the length of a JSON header, the header, the bytes.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, dtype) in tensors.stored.items():
        assert dtype is not None
        start, end = end, end + int(np.prod(shape)) * dtype.itemsize
        code = next(code for code, known in _CODES.items() if known == dtype)
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in tensors.stored:
            file.write(np.ascontiguousarray(tensors.read(name)).reshape(-1).view(np.uint8).data)


@contextmanager
def _safetensors(path: Path) -> Generator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise UserError(f"The weights {path} are damaged ({error}); copy or download them again.") from error


def _list_safetensors(path: Path) -> dict[str, Stored]:
    with _safetensors(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        return {
            name: Stored(tuple(part.get_shape()), _CODES.get(part.get_dtype()))
            for name, part in slices.items()
        }


def _open_pickle(path: Path) -> Tensors:
    stored = {
        name: Stored(tuple(value.shape), DTYPES.get(str(value.dtype).removeprefix("torch.")))
        for name, value in _unpickle(path).items()
    }
    return Tensors(stored, lambda name: _to_numpy(_unpickle(path)[name]))


def _unpickle(path: Path) -> dict[str, torch.Tensor]:
    """The state dictionary of a `.pth`, its tensors still on disk."""
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"The file {path} holds more than tensors, so loading it could run a program, and it is refused; "
            "ask its author for safetensors."
        ) from error
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        raise UserError(
            f"The file {path} is not a state dictionary as PyTorch 1.6 and later save it; "
            "copy it again, or ask its author for safetensors."
        ) from error
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise UserError(f"The file {path} is no dictionary of tensors; save the model's state_dict() alone.")
    return values


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.contiguous().numpy()
