"""What one process does: load the models of a run, and take recordings through its stages, alone or beside others."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rosella import devices, stopping
from rosella.corpus.catalogue import settings as kept
from rosella.corpus.catalogue.connection import Unavailable
from rosella.corpus.catalogue.database import Database
from rosella.corpus.engines import logs, metrics
from rosella.corpus.engines.local import Ran
from rosella.corpus.engines.progress import ShowAdvance
from rosella.corpus.project import Corpus
from rosella.corpus.workers.known import remember
from rosella.corpus.workers.processes import end_with_parent, loading, tell
from rosella.corpus.workers.settings import SETTING, Loader, Settings
from rosella.errors import RosellaError, UserError
from rosella.streams import outlive_readers

LOOK_SECONDS = 2.0
"""How often a worker looks whether it is asked for something else."""


def run_here(
    corpus: Corpus, settings: Settings, device: str | None, load: Loader, progress: ShowAdvance
) -> Ran:
    """The local engine in this process."""
    models = load(settings, device)
    remember(corpus.catalogue, settings, models)
    return corpus.run(models, progress)


def run_queue(
    corpus: Corpus, settings: Settings, devices: Sequence[str | None], load: Loader, progress: ShowAdvance
) -> Ran:
    """Tell all workers what to run, and work with them until it is done."""
    from rosella.corpus.engines import queue

    if len(devices) > 1:
        raise UserError("A run of the queue works on one device: give more to `rosella corpus work`.")
    url, models = queue.redis_url(), load(settings, devices[0])
    remember(corpus.catalogue, settings, models)
    return queue.run(corpus.catalogue, corpus.stages(models), url, progress)


def run_on(
    corpus: Path,
    catalogue: str | None,
    settings: Settings,
    device: str | None,
    load: Loader,
    begin: float,
    flag: Any,
) -> None:
    """One of several processes of a run, which begins at its own place among the recordings, 0 to 1."""
    outlive_readers()
    end_with_parent()
    try:
        with stopping.interrupting(), Corpus.open(corpus, catalogue) as opened:
            with loading(flag):
                models = load(settings, device)
            remember(opened.catalogue, settings, models)
            opened.run(models, begin=begin)
    except KeyboardInterrupt:
        sys.exit(stopping.exit_code())
    except Exception as error:
        sys.exit(tell(error))


def serve(corpus: Path, device: str | None, load: Loader, metrics_port: int | None, flag: Any) -> None:
    """One process of the queue: load the models that the run asks for, and take jobs until told to stop."""
    stop = threading.Event()
    outlive_readers()
    end_with_parent()
    logs.log_json()
    if metrics_port is not None:
        metrics.serve(metrics_port)
    try:
        devices.device(device)  # a mistake is told before a run asks for anything
        with stopping.heeding(lambda _: stop.set()):
            _serve(corpus, device, load, flag, stop.is_set)
    except UserError as error:
        os._exit(tell(error))
    # A job that was given back may still be in a thread of its own: do not wait for it.
    os._exit(stopping.exit_code())


def _serve(corpus: Path, device: str | None, load: Loader, flag: Any, stopped: Callable[[], bool]) -> None:
    while not stopped():
        try:
            with Corpus.open(corpus) as opened:
                _serve_run(opened, device, load, flag, stopped)
        except Unavailable as error:
            logging.getLogger(__name__).warning("%s", error)
            time.sleep(1.0)


def _serve_run(
    corpus: Corpus, device: str | None, load: Loader, flag: Any, stopped: Callable[[], bool]
) -> None:
    """Work on what is asked for now, until it is something else."""
    from rosella.corpus.engines.queue import Worker, redis_url

    run = _Asked(corpus.catalogue)
    if run.settings is None:
        while not stopped() and not run.changed():
            time.sleep(0.1)
        return
    with loading(flag):
        models = load(Settings(**run.settings), device)
    stages = corpus.stages(models)
    Worker(corpus.catalogue, stages, redis_url()).serve(lambda: stopped() or run.changed())


class _Asked:
    """What the latest `run --engine queue` asks the workers for."""

    def __init__(self, database: Database) -> None:
        self._read = lambda: kept.read(database, SETTING)
        self.settings = self._read()
        self._looked = time.monotonic()

    def changed(self) -> bool:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        try:
            return self._read() != self.settings
        except RosellaError:
            return False
