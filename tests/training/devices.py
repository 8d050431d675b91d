"""Trainings on virtual devices, for tests: `python -m training.devices CORPUS FOLDER SCENARIO`.

Each writes what was seen as JSON to FOLDER/SCENARIO.json. JAX learns the number of devices when it starts, hence
processes of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rosella.runs import read_metrics
from rosella.shards.read import Export
from rosella.training import hosts, loop
from rosella.training.mesh import Rows, choose_mesh
from rosella.training.run import TrainingRun
from training import tiny

LAYOUTS = (
    (1, {}),
    (2, {}),
    (4, {"data": 2}),
    (8, {}),
    (8, {"data": 2, "tensor": 2}),
)
"""Numbers of devices, and what is asked of the mesh."""

DATA = {"max_text_bytes": 60, "max_frames": 40, "batch_size": 6, "buckets": 2, "sampling_weights": True}
"""Batches of six rows, which eight devices do not divide; two shapes; utterances drawn by their weights."""


def train(export: Export, path: Path, devices: int, mesh: dict[str, int], **changes: Any) -> Path:
    """A run on the first of the devices; the global batches it saw are noted in its folder."""
    changes = {"frame_dropout": 0.2, "text_dropout": 0.3, "log_every": 1, **changes}
    recipe = tiny.recipe(
        export.directory,
        data={"export": export.directory, **DATA},
        mesh=mesh,
        **changes,
    )
    loop.choose_mesh = partial(choose_mesh, devices=jax.devices()[:devices])
    with TrainingRun.locked(path) as run:
        loop.fit(recipe, tiny.model(), tiny.config(), export, run)
    return path


def losses(path: Path) -> list[Any]:
    """[split, step, loss, losses per codebook, gradient's norm] of each line that has a loss."""
    keys = ("split", "step", "loss", "codebook_losses", "grad_norm", "text_dropped")
    return [[r.get(key) for key in keys] for r in read_metrics(path / "metrics.jsonl") if "loss" in r]


def note_batches(seen: list[str]) -> None:
    """Hash the rows of each global batch as the devices hold them, without the empty ones."""
    place = Rows.place

    def noting(self: Rows, own: Any) -> Any:
        placed = place(self, own)
        full = np.asarray(placed.weights) > 0
        digest = hashlib.sha256()
        for leaf in placed:
            digest.update(np.asarray(leaf)[full].tobytes())
        seen.append(digest.hexdigest())
        return placed

    Rows.place = noting


def layouts(export: Export, folder: Path) -> Any:
    """The same run on one to eight devices."""
    seen: list[str] = []
    note_batches(seen)
    found = []
    for number, (devices, mesh) in enumerate(LAYOUTS):
        seen.clear()
        path = train(export, folder / str(number), devices, mesh)
        found.append({"batches": list(seen), "losses": losses(path)})
    return found


def elastic(export: Export, folder: Path) -> Any:
    """A run that stops on eight devices and goes on on fewer, against one that goes on on eight."""
    begun = train(export, folder / "begun", 8, {}, steps=4)
    found = []
    for devices in (8, 4, 2, 1):
        path = folder / f"on{devices}"
        shutil.copytree(begun, path)
        train(export, path, devices, {}, steps=8)
        found.append(losses(path))
    return found


def hosts_of_four(export: Export, folder: Path) -> Any:
    """One of several processes with four devices each."""
    hosts.join()
    path = train(export, folder / "shared", jax.device_count(), {}, steps=5)
    return losses(path) if hosts.first() else []


def main(corpus: str, folder: str, scenario: str) -> None:
    found = globals()[scenario](Export.open(corpus), Path(folder))
    if hosts.first():
        (Path(folder) / f"{scenario}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
