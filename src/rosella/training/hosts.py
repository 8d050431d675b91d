"""Several processes that train one model together: how they find each other, who writes, and what they agree on."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rosella import devices, torchrun
from rosella.errors import UserError
from rosella.numbers import counted

ADDRESS, NUMBER, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""Where the first process is found, how many there are, and which one this is; JAX reads the first itself."""
OWN = "JAX_LOCAL_DEVICE_IDS"
"""Which cards are this process's, where a person says so; JAX reads it itself."""


@dataclass(frozen=True)
class _Launcher:
    """The variables in which a launcher tells a process how many there are and which it is, in all and on its machine."""

    number: str
    index: str
    here: str
    index_here: str
    address: tuple[str, ...] = ()

    def started(self) -> bool:
        return all(name in os.environ for name in (self.number, self.index, *self.address))

    def several(self) -> bool:
        return int(os.environ[self.number]) > 1


_TORCHRUN = _Launcher("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", ("MASTER_ADDR", "MASTER_PORT"))
_KNOWN_TO_JAX = (
    _Launcher("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"),
    _Launcher(
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
)
"""With these, JAX finds the first process itself."""


def join() -> None:
    """Become one of several processes where the environment, a launcher or a TPU says so; alone, do nothing.

    Processes of one machine share its cards evenly; one alone has them all. To be called before any device is touched.
    UserError where the cards cannot be shared.
    """
    if jax.distributed.is_initialized():
        return
    launcher = next((each for each in (_TORCHRUN, *_KNOWN_TO_JAX) if each.started()), None)
    if ADDRESS in os.environ:
        number, index = (int(os.environ[name]) if name in os.environ else None for name in (NUMBER, INDEX))
        _initialize(launcher, num_processes=number, process_id=index)
    elif launcher is _TORCHRUN:  # it may have been started by one of the others, and then knows more
        if _TORCHRUN.several():
            number, index = int(os.environ[_TORCHRUN.number]), int(os.environ[_TORCHRUN.index])
            with _beside_torchrun() as address:
                _initialize(launcher, coordinator_address=address, num_processes=number, process_id=index)
    elif (launcher and launcher.several()) or _on_tpu():
        _initialize(launcher)


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


def _initialize(launcher: _Launcher | None, **known: Any) -> None:
    # Rosella obeys SIGTERM itself, and JAX's own service would take the signal away from it.
    jax.config.update("jax_enable_preemption_service", False)
    if OWN not in os.environ:
        known["local_device_ids"] = _own_cards(launcher) if launcher else []
    # Who fails must not wait long for those that wait for it.
    jax.distributed.initialize(shutdown_timeout_seconds=30, **known)


def _own_cards(launcher: _Launcher) -> list[int]:
    """The numbers of this process's cards among those it sees; [] for all of them, where JAX would take but one."""
    seen, index = devices.seen(), int(os.environ.get(launcher.index_here, 0))
    here = _here(launcher, seen)
    handed_out = os.environ.get("SLURM_GPUS_PER_TASK", "1").rpartition(":")[2]  # as `4` or `h100:4`
    if here == 1 or seen == 0 or str(seen) == handed_out:
        return []
    if seen % here:
        raise UserError(
            f"{here} processes on this machine cannot share its {counted(seen, 'card')} evenly: start one for all, "
            f"one for each, or say which are whose in {OWN}."
        )
    each = seen // here
    return list(range(index * each, (index + 1) * each))


def _here(launcher: _Launcher, cards: int) -> int:
    """How many processes this machine has; who is told its number among them, but not of how many, has a card of its own.

    SLURM lists all machines, as `8(x2),4`.
    """
    told = os.environ.get(launcher.here)
    if told is None:
        return cards if launcher.index_here in os.environ else 1
    parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part) for part in told.split(",")]
    each = [int(part[1]) for part in parts if part for _ in range(int(part[2] or 1))]
    return each[int(os.environ["SLURM_NODEID"])] if len(each) > 1 else each[0]


@contextmanager
def _beside_torchrun() -> Generator[str]:
    """An address on the first machine; torchrun itself mostly listens at the one that it tells."""
    port = os.environ.get("JAX_COORDINATOR_PORT")
    held = port is None and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    with torchrun.agreed_port() if held else nullcontext(port or os.environ["MASTER_PORT"]) as port:
        yield f"{os.environ['MASTER_ADDR']}:{port}"


def _on_tpu() -> bool:
    """Whether this machine has TPU chips of its own, which may be a part of a slice.

    GKE lists the slice's hosts, and forbids to ask for them; elsewhere that says that the chips are not to be used.
    """
    told = "TPU_WORKER_HOSTNAMES" in os.environ or "TPU_SKIP_MDS_QUERY" not in os.environ
    return told and _has_chips() and importlib.util.find_spec("libtpu") is not None


def _has_chips() -> bool:
    return Path("/dev/accel0").exists() or any(Path("/dev/vfio").glob("[0-9]*"))
