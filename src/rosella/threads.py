"""How processes share the cores of a machine: how many threads compute in each, and how those wait that have nothing to do.

PyTorch computes with OpenMP, whose threads by default wait for their next piece of work in a busy loop. Where another
process wants the core, that loop holds up the very threads it waits for; asleep, they cost nothing that could be measured
on free cores (benchmarks/busy.py). OpenMP reads its settings once, from the environment, when PyTorch is imported.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

WAITING, COUNT = "OMP_WAIT_POLICY", "OMP_NUM_THREADS"


def cores() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_asleep() -> None:
    """Let idle threads sleep, unless the environment already says how they wait; before PyTorch is imported."""
    os.environ.setdefault(WAITING, "PASSIVE")


@contextmanager
def shared_by(processes: int) -> Generator[None]:
    """Let processes started in the block, as many as are said, have an equal share of the cores each."""
    before = os.environ.get(COUNT)
    os.environ.setdefault(COUNT, str(max(1, cores() // processes)))
    try:
        yield
    finally:
        if before is None:
            del os.environ[COUNT]
