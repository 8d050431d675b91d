"""`rosella corpus work`, and what `run` and the workers share: the models of a run, devices and the queue."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rosella import devices, stopping
from rosella.cli import known
from rosella.cli.processes import end_with_parent, loading, side_by_side
from rosella.cli.streams import outlive_readers
from rosella.errors import RosellaError, UserError
from rosella.shown import lines_shown

if TYPE_CHECKING:
    from rosella.corpus.catalogue.store import Catalogue
    from rosella.corpus.engines.local import Ran
    from rosella.corpus.engines.progress import Progress
    from rosella.corpus.project import Corpus
    from rosella.corpus.steps.segment import Cutting

SETTING = "run"
"""Under which the catalogue keeps what the workers run."""

LOOK_SECONDS = 2.0
"""How often a worker looks whether it is asked for something else."""


@dataclass(frozen=True)
class Settings:
    """What a run does, the same on every machine; see the options of `rosella corpus run`."""

    codec: str
    max_seconds: float
    skip: float
    recogniser: str | None
    clean_recogniser: str | None
    diarizer: str
    wordless: bool = False
    """Whether there are recordings without transcripts, which need the recogniser."""

    @property
    def cutting(self) -> Cutting:
        from rosella.corpus.steps.segment import Cutting

        return Cutting(max_seconds=self.max_seconds, skip=self.skip)


def load_models(settings: Settings, device: str | None) -> dict[str, Any]:
    """The arguments of `Corpus.run` and `Corpus.stages`, by default on the best device."""
    from rosella.asr.recogniser import load_transcriber
    from rosella.codec import load_codec
    from rosella.corpus.diarization.load import load_diarizer

    where = str(devices.device(device))
    return {
        "codec": load_codec(settings.codec, where),
        "cutting": settings.cutting,
        "diarizer": load_diarizer(settings.diarizer, where),
        "transcriber": load_transcriber(settings.recogniser, settings.clean_recogniser, where)
        if settings.wordless and settings.recogniser
        else None,
    }


def remember(catalogue: Catalogue, settings: Settings, models: dict[str, Any]) -> None:
    """For workers, and for later runs that do not name a recogniser again, or have nothing to do."""
    from rosella.corpus.catalogue import settings as kept

    kept.write(catalogue, SETTING, asdict(settings))
    known.note(catalogue, settings, models)


def last_recognisers(catalogue: Catalogue) -> tuple[str | None, str | None]:
    """The recognisers of the last run: without one, its transcripts would have to be given up."""
    from rosella.corpus.catalogue import settings as kept

    last = kept.read(catalogue, SETTING) or {}
    return last.get("recogniser"), last.get("clean_recogniser")


def run_queue(opened: Corpus, settings: Settings, devices: Sequence[str | None], progress: Progress) -> Ran:
    """Tell all workers what to run, and work with them until it is done."""
    from rosella.corpus.engines import queue

    if len(devices) > 1:
        raise UserError("A run of the queue works on one device: give more to `rosella corpus work`.")
    url, models = redis_url(), load_models(settings, devices[0])
    remember(opened.catalogue, settings, models)
    return queue.run(opened.catalogue, opened.stages(**models), url, progress)


def run_local(
    opened: Corpus,
    catalogue: str | None,
    settings: Settings,
    devices: Sequence[str | None],
    progress: Progress,
) -> Ran:
    """The local engine, in this process, or in one for each of several devices.

    What one process has taken, the others leave alone.
    """
    if len(devices) == 1:
        models = load_models(settings, devices[0])
        remember(opened.catalogue, settings, models)
        return opened.run(**models, progress=progress)
    from rosella.corpus.engines.local import ran_between
    from rosella.corpus.engines.progress import advances
    from rosella.corpus.stage import STAGES

    before, stages = opened.catalogue.status(), STAGES[1:]
    arguments = [
        (opened.directory, catalogue, settings, device, number / len(devices))
        for number, device in enumerate(devices)
    ]
    with side_by_side(run_on, arguments) as at_work:
        while at_work():
            time.sleep(LOOK_SECONDS / 4)
            for advance in advances(opened.catalogue.status(), stages):
                progress(advance)
    return ran_between(before, opened.catalogue.status(), stages)


def run_on(
    corpus: Path, catalogue: str | None, settings: Settings, device: str, begin: float, flag: Any
) -> None:
    """One of the processes of `run_local`, which begins at its own place among the recordings, 0 to 1."""
    from rosella.corpus.project import Corpus
    from rosella.errors import explain

    outlive_readers()
    end_with_parent()
    try:
        with stopping.interrupting(), Corpus.open(corpus, catalogue) as opened:
            with loading(flag):
                models = load_models(settings, device)
            remember(opened.catalogue, settings, models)
            opened.run(**models, begin=begin)
    except KeyboardInterrupt:
        sys.exit(stopping.exit_code())
    except Exception as error:
        sentence, code = explain(error)
        print(f"rosella: {lines_shown(sentence)}", file=sys.stderr, flush=True)
        sys.exit(code)


def redis_url() -> str:
    """Where the queue is: from the environment alone, since it may hold a password."""
    from rosella.corpus.engines.queue import URL_VARIABLE

    if not (url := os.environ.get(URL_VARIABLE)):
        raise UserError(f"The queue needs a Redis: set {URL_VARIABLE}=redis://host:6379/0.")
    return url


def work(
    corpus: Annotated[
        Path, typer.Option("--corpus", help="The corpus directory, shared by all workers.", metavar="DIR")
    ],
    device: Annotated[
        list[str] | None,
        typer.Option(help="cpu, cuda:0 … (default: the best); given several times, a process for each."),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Answer Prometheus here; further devices take the ports after it.")
    ] = None,
) -> None:
    """Join the workers of `run --engine queue` with this machine; stop with Ctrl-C whenever you like."""
    from rosella.corpus.project import Corpus

    redis_url()
    Corpus.open(corpus).close()  # a mistake is told before any process starts
    arguments = [
        (corpus, name, None if metrics_port is None else metrics_port + number)
        for number, name in enumerate(device or [None])
    ]
    try:
        with side_by_side(serve, arguments) as at_work:
            while at_work():
                time.sleep(0.5)
    except KeyboardInterrupt:
        raise typer.Exit(
            stopping.exit_code()
        ) from None  # without a sentence: what it prints is a log of JSON lines


def serve(corpus: Path, device: str | None, metrics_port: int | None, flag: Any) -> None:
    """One process of `work`: load the models that the run asks for, and take jobs until told to stop."""
    from rosella.corpus.engines import logs, metrics
    from rosella.errors import explain

    stop = threading.Event()
    outlive_readers()
    end_with_parent()
    logs.log_json()
    if metrics_port is not None:
        metrics.serve(metrics_port)
    try:
        devices.device(device)  # a mistake is told before a run asks for anything
        with stopping.heeding(lambda _: stop.set()):
            _serve(corpus, device, flag, stop.is_set)
    except UserError as error:
        sentence, code = explain(error)
        print(f"rosella: {lines_shown(sentence)}", file=sys.stderr, flush=True)
        os._exit(code)
    # A job that was given back may still be in a thread of its own: do not wait for it.
    os._exit(stopping.exit_code())


def _serve(corpus: Path, device: str | None, flag: Any, stopping: Callable[[], bool]) -> None:
    import logging

    from rosella.corpus.catalogue.connection import Unavailable
    from rosella.corpus.project import Corpus

    while not stopping():
        try:
            with Corpus.open(corpus) as opened:
                _serve_run(opened, device, flag, stopping)
        except Unavailable as error:
            logging.getLogger(__name__).warning("%s", error)
            time.sleep(1.0)


def _serve_run(opened: Corpus, device: str | None, flag: Any, stopping: Callable[[], bool]) -> None:
    """Work on what is asked for now, until it is something else."""
    from rosella.corpus.engines.queue import Worker

    run = _Asked(opened.catalogue)
    if run.settings is None:
        while not stopping() and not run.changed():
            time.sleep(0.1)
        return
    with loading(flag):
        models = load_models(Settings(**run.settings), device)
    stages = opened.stages(**models)
    Worker(opened.catalogue, stages, redis_url()).serve(lambda: stopping() or run.changed())


class _Asked:
    """What the latest `run --engine queue` asks the workers for."""

    def __init__(self, catalogue: Catalogue) -> None:
        from rosella.corpus.catalogue import settings

        self._read = lambda: settings.read(catalogue, SETTING)
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
