"""A process for each of several devices: how they are started, watched and ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rosella.corpus.engines.local import Ran, ran_between
from rosella.corpus.engines.progress import ShowAdvance, advances
from rosella.corpus.project import Corpus
from rosella.corpus.stage import STAGES
from rosella.corpus.workers.processes import side_by_side
from rosella.corpus.workers.settings import Loader, Settings
from rosella.corpus.workers.worker import run_here, run_on, serve

LOOK_SECONDS = 0.5
"""How often is looked whether processes are still at work."""


def run_local(
    corpus: Corpus,
    catalogue: str | None,
    settings: Settings,
    devices: Sequence[str | None],
    load: Loader,
    progress: ShowAdvance,
) -> Ran:
    """The local engine, in this process, or in one for each of several devices.

    What one process has taken, the others leave alone.
    """
    if len(devices) == 1:
        return run_here(corpus, settings, devices[0], load, progress)
    before, stages = corpus.catalogue.status(), STAGES[1:]
    arguments = [
        (corpus.directory, catalogue, settings, device, load, number / len(devices))
        for number, device in enumerate(devices)
    ]
    with side_by_side(run_on, arguments) as at_work:
        while at_work():
            time.sleep(LOOK_SECONDS)
            for advance in advances(corpus.catalogue.status(), stages):
                progress(advance)
    return ran_between(before, corpus.catalogue.status(), stages)


def serve_queue(
    corpus: Path, devices: Sequence[str | None], load: Loader, metrics_port: int | None = None
) -> None:
    """Take jobs of the queue in a process for each device, which answer Prometheus on ports in a row, until interrupted."""
    arguments = [
        (corpus, device, load, None if metrics_port is None else metrics_port + number)
        for number, device in enumerate(devices)
    ]
    with side_by_side(serve, arguments) as at_work:
        while at_work():
            time.sleep(LOOK_SECONDS)
