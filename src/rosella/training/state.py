"""All that a resume needs, and its way to disk and back.

A checkpoint is a directory `checkpoints/<step>`: an Orbax tree (float32 parameters, optimizer state, step,
random key), `progress.json` (data-iterator state), the recipe, the model's `config.json`, and a manifest.
It is written under another name, synced and renamed, so it exists whole or not at all, by all processes of a run: each
writes and hashes its own shards.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rosella.files import (
    TEMPORARY,
    find_damage,
    replacing_directory,
    require_space,
    seal,
    seal_part,
    write_json,
)
from rosella.model.config import DiaConfig
from rosella.model.sharding import shardings
from rosella.model.transformer import Dia
from rosella.recipes import save_recipe
from rosella.runs import newest_intact
from rosella.training import hosts
from rosella.training.recipe import Recipe
from rosella.weights.configs import CONFIG, write_config


class TrainState(NamedTuple):
    """Changes with every step; all on the device."""

    params: dict[str, jax.Array]
    moments: Any
    step: jax.Array  # int32, the steps done
    key: jax.Array  # uint32, the data of a random key; constant, folded with the step
    bad_steps: jax.Array  # int32, steps skipped because something was not finite
    bad_in_row: jax.Array  # int32, of these, the last ones without a good one between


@dataclass(frozen=True)
class Skeleton:
    """A model without its numbers; parameters travel as a flat dictionary `path -> array`."""

    graph: Any
    structure: Any
    shapes: dict[str, jax.ShapeDtypeStruct]

    @classmethod
    def of(cls, model: Dia) -> tuple[Skeleton, dict[str, jax.Array]]:
        graph, variables = nnx.split(model)
        leaves, structure = jax.tree_util.tree_flatten_with_path(variables)
        names = tuple(".".join(str(getattr(k, "key", "")) for k in path).rstrip(".") for path, _ in leaves)
        params = dict(zip(names, (leaf for _, leaf in leaves), strict=True))
        shapes = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in params.items()}
        return cls(graph, structure, shapes), params

    @classmethod
    def computing(cls, config: DiaConfig, recipe: Recipe) -> Skeleton:
        """Of a model that computes as a recipe says."""
        chosen = jnp.dtype(recipe.compute_dtype), recipe.remat, recipe.attention
        return cls.of(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0), *chosen)))[0]

    def join(self, params: Mapping[str, Any]) -> Dia:
        """A model of these arrays, or of shapes."""
        leaves = [params[name] for name in self.shapes]
        return nnx.merge(self.graph, jax.tree_util.tree_unflatten(self.structure, leaves))

    def abstract(self, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
        """The parameters as shapes, each with its place on `mesh`."""
        placed = jax.tree.leaves(shardings(self.join(self.shapes), mesh))
        return {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)
            for (name, leaf), where in zip(self.shapes.items(), placed, strict=True)
        }


def abstract_state(
    params: Mapping[str, jax.ShapeDtypeStruct | jax.Array], optimizer: optax.GradientTransformation
) -> TrainState:
    """The state of a run as shapes, each with its place: what is kept for a parameter lies where it lies."""
    made = jax.eval_shape(partial(_new_state, optimizer=optimizer, seed=0), dict(params))
    whole = _whole(next(iter(params.values())).sharding)

    def place(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        like = params.get(getattr(path[-1], "key", ""))
        where = like.sharding if like is not None and like.shape == leaf.shape else whole
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)

    return jax.tree_util.tree_map_with_path(place, made)


def fresh_state(
    params: dict[str, jax.Array], optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """The state before the first step; the memory of `params` becomes part of it."""
    placed = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(params, optimizer))
    new = partial(_new_state, optimizer=optimizer, seed=seed)
    return jax.jit(new, out_shardings=placed, donate_argnums=0)(params)


def _new_state(
    params: dict[str, jax.Array], optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    key = jax.random.key_data(jax.random.key(seed))
    zeros = [jnp.array(0, jnp.int32) for _ in range(3)]
    return TrainState(params, optimizer.init(params), zeros[0], key, *zeros[1:])


def _whole(sharding: Any) -> Any:
    return NamedSharding(sharding.mesh, PartitionSpec()) if isinstance(sharding, NamedSharding) else sharding


class Saver:
    """Writes checkpoints beside the training, one at a time; all processes call the same methods in the same order."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing: threading.Thread | None = None
        self._failed: BaseException | None = None

    @property
    def busy(self) -> bool:
        return self._writing is not None and self._writing.is_alive()

    def save(
        self,
        state: TrainState,
        progress: dict[str, Any],
        recipe: Recipe,
        config: DiaConfig,
        best: int | None = None,
    ) -> None:
        """Begin to write the checkpoint of `state.step`, when the one before is done.

        It is copied before this returns; what fails later is raised by the next call. When it is there, all but the newest
        `recipe.checkpoint.keep` go, and but the one of the `best` step, to which the link `best` then leads.
        """
        self.wait()
        final = named(self._directory, int(state.step))
        with ExitStack() as stack:
            temporary = self._make_room(final, state, stack)
            hosts.wait_for_all(f"may write {final.name}")
            checkpointer = stack.enter_context(_checkpointer(final.name))
            checkpointer.save((temporary / "state").resolve(), state._asdict())
            finish = partial(
                self._finish, stack.pop_all(), checkpointer, temporary, progress, recipe, config, best
            )
        self._writing = threading.Thread(target=finish, name="checkpoint")
        self._writing.start()

    def wait(self) -> None:
        """Return when nothing is being written any more; raises what went wrong with it."""
        if self._writing is not None:
            self._writing.join()
        failed, self._writing, self._failed = self._failed, None, None
        if failed is not None:
            raise failed

    def finish(self) -> None:
        """Let what is being written end, when something else went wrong already."""
        if self._writing is not None:
            self._writing.join()

    def _make_room(self, final: Path, state: TrainState, stack: ExitStack) -> Path:
        temporary = final.with_name(f".{final.name}.tmp")
        if hosts.first():
            for left in self._directory.glob(TEMPORARY):  # by a process that was killed
                shutil.rmtree(left)
            stack.enter_context(replacing_directory(final, temporary)).mkdir()
            require_space(temporary, (leaf.nbytes for leaf in jax.tree.leaves(state)))
        return temporary

    def _finish(
        self,
        stack: ExitStack,
        checkpointer: Any,
        temporary: Path,
        progress: dict[str, Any],
        recipe: Recipe,
        config: DiaConfig,
        best: int | None,
    ) -> None:
        """What remains when the state is copied; a thread's work."""
        try:
            with stack:
                checkpointer.wait_until_finished()
                if not hosts.first():
                    seal_part(temporary, jax.process_index(), f"state/ocdbt.process_{jax.process_index()}")
                hosts.wait_for_all(f"hashed {temporary.name}")
                if hosts.first():
                    write_json(temporary / "progress.json", progress, indent=None)
                    save_recipe(recipe, temporary / "recipe.yaml")
                    write_config(temporary / CONFIG, config)
                    seal(temporary)
            if hosts.first():
                self._rotate(recipe.checkpoint.keep, best)
            hosts.wait_for_all(f"done {temporary.name}")
        except BaseException as error:
            self._failed = error

    def _rotate(self, keep: int, best: int | None) -> None:
        if best is not None:
            link = self._directory.parent / "best"
            new = link.with_name(".best")
            new.unlink(missing_ok=True)
            new.symlink_to(named(self._directory, best).relative_to(link.parent))
            new.replace(link)
        for old in steps(self._directory)[keep:]:
            if old != best:
                shutil.rmtree(named(self._directory, old))


def save(
    directory: Path,
    state: TrainState,
    progress: dict[str, Any],
    recipe: Recipe,
    config: DiaConfig,
) -> Path:
    """Write the checkpoint of `state.step` and remove all but the newest `recipe.checkpoint.keep`."""
    saver = Saver(directory)
    saver.save(state, progress, recipe, config)
    saver.wait()
    return named(directory, int(state.step))


def restore(
    directory: Path,
    like: TrainState,
    note: Callable[[str], None],
    check: Callable[[dict[str, Any]], None] = lambda progress: None,
) -> tuple[TrainState, dict[str, Any]] | None:
    """State and progress of the newest checkpoint that verifies; None when there is none at all.

    `check` may refuse the progress before any array is read. The arrays come back where those of `like`, which may be
    shapes, lie, wherever they lay when they were saved. Damaged checkpoints are noted. RosellaError when every one is.
    """
    found = newest_intact([named(directory, step) for step in steps(directory)], _find_damage, note)
    if found is None:
        return None
    progress = json.loads((found / "progress.json").read_text())
    check(progress)
    return _read(found, like), progress


def named(directory: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return directory / f"{step:08d}"


def steps(directory: Path) -> list[int]:
    """Steps of the finished checkpoints, newest first."""
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def _find_damage(checkpoint: Path) -> str | None:
    """Each process looks at its share of the files, and all hear of what one finds."""
    here = find_damage(checkpoint, jax.process_index(), jax.process_count())
    return "another host says so" if hosts.any_says(here is not None) and here is None else here


def _read(checkpoint: Path, like: TrainState) -> TrainState:
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like._asdict()
    )
    with _checkpointer(f"read {checkpoint.name}") as checkpointer:
        return TrainState(**checkpointer.restore((checkpoint / "state").resolve(), shapes))


def _checkpointer(name: str) -> Any:
    """Orbax's, under a name of its own where processes wait for each other."""
    import orbax.checkpoint as ocp

    options = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=name)
    return ocp.StandardCheckpointer(multiprocessing_options=options)
