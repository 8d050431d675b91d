"""Trainings on virtual devices, for tests: `python -m training.devices CORPUS FOLDER SCENARIO`.

Each writes what was seen as JSON to FOLDER/SCENARIO.json. JAX learns the number of devices when it starts, hence
processes of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import tiny_dia
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.progress import Report, unread
from rosella.runs import read_metrics
from rosella.shards.read import Export
from rosella.training import hosts, loop
from rosella.training import state as checkpoints
from rosella.training.batches import Batch
from rosella.training.hooks import Sample
from rosella.training.mesh import Rows, choose_mesh
from rosella.training.optimizer import make_optimizer
from rosella.training.recipe import MeshRecipe, SpeakingOptimizer
from rosella.training.run import TrainingRun
from rosella.training.state import steps
from rosella.training.step import make_step
from rosella.weights import load_model
from training import tiny

LAYOUTS = (
    (1, {}),
    (2, {}),
    (4, {"data": 2, "tensor": 2}),
    (8, {}),
)
"""Numbers of devices, and what is asked of the mesh."""

DATA = {"max_text_bytes": 60, "max_frames": 40, "batch_size": 6, "buckets": 2, "sampling_weights": True}
"""Batches of six rows, which eight devices do not divide; two shapes; utterances drawn by their weights."""


def train(
    export: Export,
    path: Path,
    devices: int,
    mesh: dict[str, int],
    report: Report = unread,
    sample: Sample | None = None,
    **changes: Any,
) -> loop.Outcome:
    """A run on the first of the devices; the global batches it saw are noted in its folder."""
    changes = {"frame_dropout": 0.2, "text_dropout": 0.3, "evaluate": {"every": 99, "batches": 1}, **changes}
    recipe = tiny.recipe(
        export.directory,
        data={"export": export.directory, **DATA},
        mesh=mesh,
        **changes,
    )
    loop.choose_mesh = partial(choose_mesh, devices=jax.devices()[:devices])
    with TrainingRun.locked(path) as run:
        return loop.fit(recipe, tiny.model(), tiny.config(), export, run, report, sample)


def losses(path: Path) -> list[Any]:
    """[split, step, loss, losses per codebook, gradient's norm] of each line that has a loss."""
    keys = ("split", "step", "loss", "codebook_losses", "grad_norm", "text_dropped")
    return [[r.get(key) for key in keys] for r in read_metrics(path / "metrics.jsonl") if "loss" in r]


def note_batches(seen: list[str]) -> None:
    """Hash the rows of each global batch as the devices hold them, without the empty ones."""
    place = Rows.place

    def noting(self: Rows, own: Any) -> Any:
        placed = place(self, own)
        full = (np.asarray(placed.weights) > 0).any(axis=1)
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
        train(export, folder / str(number), devices, mesh)
        found.append({"batches": list(seen), "losses": losses(folder / str(number))})
    return found


def elastic(export: Export, folder: Path) -> Any:
    """A run that stops on eight devices and goes on on fewer, against one that goes on on eight."""
    begun, found = folder / "begun", list[Any]()
    train(export, begun, 8, {}, steps=4)
    for devices in (8, 4, 2, 1):
        path = folder / f"on{devices}"
        shutil.copytree(begun, path)
        train(export, path, devices, {}, steps=8)
        found.append(losses(path))
    return found


def shared(export: Export, folder: Path) -> Any:
    """A run of one process, or of several that share it; the last is told to stop, and all go on later."""
    hosts.join()

    def stop(values: dict[str, Any]) -> None:
        last = jax.process_index() == jax.process_count() - 1
        if last and values.get("step") == 2 and values["split"] == "train":
            os.kill(os.getpid(), signal.SIGTERM)

    def speak(model: Dia, config: DiaConfig, step: int) -> None:
        spoken.append([step, float(jnp.abs(model(*tiny_dia.batch(config))).sum())])

    spoken: list[list[float]] = []
    path, devices = folder / "shared", jax.device_count()
    samples = {"texts": ["[S1] een"], "every": 3}
    stopped = train(export, path, devices, {}, stop, speak, steps=6, samples=samples)
    saved = steps(path / "checkpoints")
    train(export, path, devices, {}, sample=speak, steps=6, samples=samples)
    found = losses(path) if hosts.first() else []
    return {"stopped": stopped.step, "saved": saved, "losses": found, "spoken": spoken}


def pieces(export: Export, folder: Path) -> Any:
    """The largest piece of an array that a device ever held while weights were loaded, saved and restored."""
    largest, done = 0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.is_set():
            for array in jax.live_arrays():
                with suppress(RuntimeError):  # it was deleted meanwhile
                    largest = max(largest, *(shard.data.nbytes for shard in array.addressable_shards))

    watcher = threading.Thread(target=watch)
    watcher.start()
    optimizer = make_optimizer(SpeakingOptimizer())
    skeleton, params = checkpoints.Skeleton.of(load_model("mini", choose_mesh(MeshRecipe()))[0])
    whole = max(leaf.nbytes for leaf in params.values())
    state = checkpoints.fresh_state(params, optimizer, 0)
    checkpoints.save(folder, state, {}, tiny.recipe("x"), tiny.config())
    like = checkpoints.abstract_state(skeleton.abstract(choose_mesh(MeshRecipe())), optimizer)
    found = checkpoints.restore(folder, like, print)
    done.set()
    watcher.join()
    assert found is not None
    same = jax.tree.map(lambda a, b: bool((a == b).all()) and a.sharding == b.sharding, state, found[0])
    return {"largest": largest, "whole": whole, "same": all(jax.tree.leaves(same)), "gathered": gathered()}


def gathered(layers: int = 10) -> list[list[int]]:
    """The shapes that are gathered from all devices in a step of a model whose layers are looped over."""
    mesh, recipe = choose_mesh(MeshRecipe()), tiny.recipe("x")
    config = tiny_dia.shaped(delays=(0, 1, 2), steps=64, layers=layers)
    skeleton = checkpoints.Skeleton.of(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0))))[0]
    state = checkpoints.abstract_state(skeleton.abstract(mesh), make_optimizer(recipe.optimizer))
    ids, sequences, one = (8, 16), (8, 24, 3), (8, 1)
    shapes = (ids, one, sequences, sequences, one, one)
    batch = Batch(*(jax.ShapeDtypeStruct(shape, "int32") for shape in shapes))
    program = make_step(skeleton, recipe, mesh).lower(state, batch).compile().as_text()
    found = re.findall(r"= \w+\[([\d,]*)\]\S* all-gather\(", program)
    return [[int(size) for size in shape.split(",")] for shape in found]


def main(corpus: str, folder: str, scenario: str) -> None:
    found = globals()[scenario](Export.open(corpus), Path(folder))
    if hosts.first():
        (Path(folder) / f"{scenario}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
