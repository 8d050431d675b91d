"""A training process that dies: `python -m training.child CORPUS RUN HOW`, killed as HOW says."""

from __future__ import annotations

import os
import signal
import sys
import threading

from rosella.shards.read import Export
from rosella.training import state as checkpoints
from rosella.training.loop import fit
from rosella.training.run import TrainingRun
from training import tiny


def die(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(corpus: str, path: str, how: str) -> None:
    saving = {"in the first save": "00000003", "in the second save": "00000006"}.get(how)
    if saving:
        seal = checkpoints.seal
        checkpoints.seal = lambda new: (seal(new), saving in new.name and die())

    def report(values: dict) -> None:
        if how == "after step 5" and values.get("step") == 5:
            for thread in threading.enumerate():
                if thread.name == "checkpoint":
                    thread.join()
            die()

    with TrainingRun.locked(path) as run:
        fit(tiny.recipe(corpus), tiny.model(), tiny.config(), Export.open(corpus), run, report)


if __name__ == "__main__":
    main(*sys.argv[1:])
