"""Named points at which a test kills the process, to see that nothing is lost.

Off unless ROSELLA_FAILPOINT is set to `NAME` or `NAME#N` (the Nth time it is reached), where NAME may be
followed by `@STAGE`. ROSELLA_FAILPOINT_LOG names a file that gets a line per point reached.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "ROSELLA_FAILPOINT"
LOG_VARIABLE = "ROSELLA_FAILPOINT_LOG"

NAMES = (
    "after-claim",
    "after-run",
    "in-commit",
    "after-commit",
    "before-rename",
    "after-rename",
)
"""Around a stage of a recording, inside the transaction of its results, and around the renaming of a file."""
OF_A_POD = ("after-state", "before-act", "after-act")
"""When a pod's supervisor has written down what it will do, and around each thing that it does."""

_reached: Counter[str] = Counter()


def failpoint(name: str, stage: str = "") -> None:
    """Die here with SIGKILL, if this point was asked for."""
    if VARIABLE not in os.environ and LOG_VARIABLE not in os.environ:
        return
    assert name in (*NAMES, *OF_A_POD), name
    label = f"{name}@{stage}" if stage else name
    _reached[label] += 1
    if log := os.environ.get(LOG_VARIABLE):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{label}#{_reached[label]}\n")
    if os.environ.get(VARIABLE) in (label, f"{label}#{_reached[label]}"):
        os.kill(os.getpid(), signal.SIGKILL)
