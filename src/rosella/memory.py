"""How this process holds its memory.

glibc gives large buffers back to the system when they are freed, and every page of the next one is faulted in anew. A
training step on a CPU makes the same gigabyte of buffers again each time, which cost it about a tenth of its time.
"""

from __future__ import annotations

import ctypes

NEVER_TRIM, NO_MAPPINGS, ONE_ARENA = (-1, -1), (-4, 0), (-8, 1)
"""`mallopt` parameters of glibc's malloc.h with their values: M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX. Arenas of threads
have room for 64 MiB and map what is larger."""


def keep() -> None:
    """Let what is freed stay with this process; before threads are started. Without glibc nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (NEVER_TRIM, NO_MAPPINGS, ONE_ARENA):
            mallopt(parameter, value)
