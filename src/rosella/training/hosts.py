"""Several processes that train one model together: how they find each other, who writes, and what they agree on."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

ADDRESS, NUMBER, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""Where the first process is found, how many there are, and which one this is; JAX reads the first itself."""

_LAUNCHERS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
"""How many processes a launcher that JAX knows has started."""


def join() -> None:
    """Become one of several processes where the environment, a launcher or a TPU says so; alone, do nothing.

    To be called before any device is touched.
    """
    if jax.distributed.is_initialized():
        return
    if ADDRESS in os.environ:
        number, index = (int(os.environ[name]) if name in os.environ else None for name in (NUMBER, INDEX))
        _initialize(num_processes=number, process_id=index)
    elif any(int(os.environ.get(name, 1)) > 1 for name in _LAUNCHERS) or _on_tpu():
        _initialize()


def first() -> bool:
    """Whether this process is the one that writes."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def several() -> bool:
    return jax.distributed.is_initialized() and jax.process_count() > 1


def wait_for_all(name: str) -> None:
    """Go on when every process has come here; on several threads at once, under different names."""
    if several():
        import orbax.checkpoint as ocp

        ocp.multihost.get_barrier_sync_fn()(key=name, timeout_ms=_PATIENCE)


def any_says(said: bool) -> bool:
    """Whether any process says so; all wait for it."""
    if not several():
        return said
    from jax.experimental.multihost_utils import process_allgather

    return bool(process_allgather(np.array(said)).any())


def whole(array: jax.Array) -> np.ndarray:
    """All of an array in the memory of every process, one entry of its first axis after another."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    from jax.experimental.multihost_utils import process_allgather

    if array.ndim < 3:
        return process_allgather(array, tiled=True)
    return np.stack([process_allgather(array[i], tiled=True) for i in range(len(array))])


class Agreement:
    """What any process says becomes known to all of them at one step, without anybody waiting.

    The words travel with the work of the devices, so that with several processes they arrive a step later.
    """

    def __init__(self) -> None:
        self._on_its_way: jax.Array | None = None

    def __call__(self, *said: bool) -> tuple[bool, ...]:
        """Whether any process said each of these; with several processes, in the call before."""
        if not several():
            return said
        before, self._on_its_way = self._on_its_way, self._send(said)
        return (False,) * len(said) if before is None else tuple(np.asarray(before).astype(bool).tolist())

    def _send(self, said: tuple[bool, ...]) -> jax.Array:
        shape, mine = (jax.device_count(), len(said)), np.array([said], np.int32)
        words = jax.make_array_from_callback(shape, self._one_each, lambda _: mine)
        return self._any(words)

    @cached_property
    def _one_each(self) -> NamedSharding:
        return NamedSharding(Mesh(np.array(jax.devices()), ("all",)), PartitionSpec("all"))

    @cached_property
    def _any(self) -> Callable[[jax.Array], jax.Array]:
        everywhere = NamedSharding(self._one_each.mesh, PartitionSpec())
        return jax.jit(lambda words: jnp.max(words, axis=0), out_shardings=everywhere)


_PATIENCE = 3_600_000
"""Milliseconds for others to come, who may still be writing a checkpoint."""


def _initialize(**known: Any) -> None:
    # Rosella obeys SIGTERM itself, and JAX's own service would take the signal away from it.
    jax.config.update("jax_enable_preemption_service", False)
    # Who fails must not wait long for those that wait for it.
    jax.distributed.initialize(shutdown_timeout_seconds=30, **known)


def _on_tpu() -> bool:
    """Whether this machine has TPU chips of its own, which may be a part of a slice."""
    chips = Path("/dev/accel0").exists() or any(Path("/dev/vfio").glob("[0-9]*"))
    return chips and importlib.util.find_spec("libtpu") is not None and "TPU_SKIP_MDS_QUERY" not in os.environ
