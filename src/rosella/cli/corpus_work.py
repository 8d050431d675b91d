"""`rosella corpus work`, and the models that it and `run` work with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella import devices, stopping

if TYPE_CHECKING:
    from rosella.corpus.models import Models
    from rosella.corpus.workers.settings import Settings


def load_models(settings: Settings, device: str | None) -> Models:
    """What settings name, by default on the best device."""
    from rosella.asr.recogniser import load_transcriber
    from rosella.codec import load_codec
    from rosella.corpus.diarization.load import load_diarizer
    from rosella.corpus.models import Models

    where = str(devices.device(device))
    codec, diarizer = load_codec(settings.codec, where), load_diarizer(settings.diarizer, where)
    transcriber = None
    if settings.wordless and settings.recogniser:
        transcriber = load_transcriber(settings.recogniser, settings.clean_recogniser, where)
    return Models(codec, settings.cutting, diarizer, transcriber)


@contextmanager
def exiting_as_workers() -> Generator[None]:
    """Without a sentence where a process of several has said it."""
    from rosella.corpus.workers.processes import WorkerFailed

    try:
        yield
    except WorkerFailed as failed:
        raise typer.Exit(failed.code) from None


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
    from rosella.corpus.engines.queue import redis_url
    from rosella.corpus.project import Corpus
    from rosella.corpus.workers.devices import serve_queue

    redis_url()
    Corpus.open(corpus).close()  # a mistake is told before any process starts
    try:
        with exiting_as_workers():
            serve_queue(corpus, device or [None], load_models, metrics_port)
    except KeyboardInterrupt:
        raise typer.Exit(
            stopping.exit_code()
        ) from None  # without a sentence: what it prints is a log of JSON lines
