"""`rosella corpus work`, and what `run` and the workers share: the models of a run, and the queue."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rosella.errors import RosellaError, UserError

if TYPE_CHECKING:
    from rosella.corpus.catalogue.store import Catalogue
    from rosella.corpus.engines.local import Progress, Ran
    from rosella.corpus.project import Corpus

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
    """Whether there are recordings without transcripts, which need the models that hear."""


def load_models(settings: Settings, device: str) -> dict[str, Any]:
    """The arguments of `Corpus.run` and `Corpus.stages`."""
    from rosella.asr.recogniser import load_transcriber
    from rosella.codec import load_codec
    from rosella.corpus.diarize import load_diarizer
    from rosella.corpus.segment import Cutting

    hears = settings.wordless
    return {
        "codec": load_codec(settings.codec, device),
        "cutting": Cutting(max_seconds=settings.max_seconds, skip=settings.skip),
        "diarizer": load_diarizer(settings.diarizer, device) if hears else None,
        "transcriber": load_transcriber(settings.recogniser, settings.clean_recogniser)
        if hears and settings.recogniser
        else None,
    }


def remember(catalogue: Catalogue, settings: Settings) -> None:
    """For workers, and for later runs that do not name a recogniser again."""
    from rosella.corpus.catalogue import settings as kept

    kept.write(catalogue, SETTING, asdict(settings))


def last_recognisers(catalogue: Catalogue) -> tuple[str | None, str | None]:
    """The recognisers of the last run: without one, its transcripts would have to be given up."""
    from rosella.corpus.catalogue import settings as kept

    last = kept.read(catalogue, SETTING) or {}
    return last.get("recogniser"), last.get("clean_recogniser")


def run_queue(opened: Corpus, settings: Settings, models: dict[str, Any], progress: Progress) -> Ran:
    """Tell all workers what to run, and work with them until it is done."""
    from rosella.corpus.engines import queue

    url = redis_url()
    return queue.run(opened.catalogue, opened.stages(**models), url, progress)


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
        list[str] | None, typer.Option(help="cpu, cuda:0 …; given several times, a process for each.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Answer Prometheus here; further devices take the ports after it.")
    ] = None,
) -> None:
    """Join the workers of `run --engine queue` with this machine; stop with Ctrl-C whenever you like."""
    from multiprocessing import get_context

    from rosella.corpus.project import Corpus

    redis_url()
    Corpus.open(corpus).close()  # a mistake is told before any process starts
    context = get_context("spawn")

    def start(number: int, name: str) -> BaseProcess:
        port = None if metrics_port is None else metrics_port + number
        process = context.Process(target=serve, args=(corpus, name, port))
        process.start()
        return process

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    names = device or ["cpu"]
    processes = [start(number, name) for number, name in enumerate(names)]
    try:
        while any(process.exitcode != 0 for process in processes):
            time.sleep(0.5)
            for number, process in enumerate(processes):
                if process.exitcode not in (None, 0, 1, 2):  # killed, crashed or hung
                    print(
                        f"worker of {names[number]} ended ({process.exitcode}), starting another",
                        file=sys.stderr,
                    )
                    processes[number] = start(number, names[number])
                elif process.exitcode:
                    raise typer.Exit(process.exitcode)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def serve(corpus: Path, device: str, metrics_port: int | None) -> None:
    """One process of `work`: load the models that the run asks for, and take jobs until told to stop."""
    from rosella.cli import explain
    from rosella.corpus.engines import logs, metrics

    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    logs.log_json()
    if metrics_port is not None:
        metrics.serve(metrics_port)
    try:
        _serve(corpus, device, lambda: stopping)
    except UserError as error:
        sentence, code = explain(error)
        print(f"rosella: {sentence}", file=sys.stderr, flush=True)
        os._exit(code)
    # A job that was given back may still be in a thread of its own: do not wait for it.
    os._exit(0)


def _serve(corpus: Path, device: str, stopping: Callable[[], bool]) -> None:
    import logging

    from rosella.corpus.catalogue.connection import Unavailable
    from rosella.corpus.project import Corpus

    while not stopping():
        try:
            with Corpus.open(corpus) as opened:
                _serve_run(opened, device, stopping)
        except Unavailable as error:
            logging.getLogger(__name__).warning("%s", error)
            time.sleep(1.0)


def _serve_run(opened: Corpus, device: str, stopping: Callable[[], bool]) -> None:
    """Work on what is asked for now, until it is something else."""
    from rosella.corpus.engines.queue import Worker

    run = _Asked(opened.catalogue)
    if run.settings is None:
        while not stopping() and not run.changed():
            time.sleep(0.1)
        return
    stages = opened.stages(**load_models(Settings(**run.settings), device))
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
