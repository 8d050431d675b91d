"""Conversion of the full-size model, random weights in float32: seconds, and the peak as a share of the weights.

Each conversion is a process of its own. Needs 13 GB of disk where temporary files go.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from _machine import row

from rosella.model.config import dia_1_6b
from rosella.weights.models import write_directory
from rosella.weights.names import Kind, tensor_shapes
from rosella.weights.tensors import DTYPES, Stored, Tensors

ROAD = ("nari", "reference", "rosella")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "rosella-0"
        size = write_random(home)
        for number, kind in enumerate(ROAD, start=1):
            source, home = home, Path(folder) / f"{kind}-{number}"
            seconds, gib = convert(source, home, kind)
            result = f"{seconds:.0f} s, peak {gib:.2f} GiB ({gib * 2**30 / size:.2f} x the weights)"
            print(row(f"convert Dia-1.6B, {source.name[:-2]} to {kind}", result), flush=True)
            shutil.rmtree(source)


def write_random(directory: Path) -> int:
    """A full-size model directory, drawn tensor by tensor; returns the bytes of its weights."""
    shapes = tensor_shapes(Kind.TRANSFORMERS, dia_1_6b())

    def draw(name: str) -> np.ndarray:
        return 0.02 * np.random.default_rng(zlib.crc32(name.encode())).standard_normal(
            shapes[name], np.float32
        )

    stored = {name: Stored(shape, DTYPES["float32"]) for name, shape in shapes.items()}
    write_directory(directory, Tensors(stored, draw), dia_1_6b(), "float32")
    return sum(4 * int(np.prod(shape)) for shape in shapes.values())


def convert(source: Path, destination: Path, kind: str) -> tuple[float, float]:
    """Seconds and GiB that the command reports."""
    command = [sys.executable, "-m", "rosella", "convert", source, destination, "--to", kind]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, gib = re.findall(r"in ([\d.]+) s, at most ([\d.]+) GiB", said)[0]
    return float(seconds), float(gib)


if __name__ == "__main__":
    main()
