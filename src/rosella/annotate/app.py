"""The whole server as one ASGI application."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from rosella.annotate import clips, people, queue, recordings, reports, words
from rosella.annotate.desk import Desk
from rosella.annotate.guard import Guard, Me
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.clips import recording_of
from rosella.corpus.catalogue.connection import Unavailable
from rosella.errors import RosellaError, UserError
from rosella.web import pages
from rosella.web.faults import Refusal, install

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
_SOONEST, _LATEST, _SHARE = 60.0, 600.0, 1 / 30
"""Seconds between two times that the queue is brought up to date: so many that it takes this share of the time."""


def create_app(desk: Desk) -> ASGIApp:
    """All routes over one desk."""
    return Guard(bare(desk), desk.gate.local is not None)


def bare(desk: Desk) -> FastAPI:
    """The routes without what stands before them."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with _filling(desk):
            async with desk.hub.looking():
                yield

    app = FastAPI(title="Rosella", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    install(app, "the page is at /")
    app.add_exception_handler(UserError, _wrong)  # type: ignore[arg-type]
    app.add_exception_handler(Unavailable, _unavailable)  # type: ignore[arg-type]
    for routes in (
        *people.routers(desk),
        *clips.routers(desk),
        recordings.router(desk),
        words.router(desk),
        *reports.routers(desk),
        _events(desk),
        pages.router(STATIC, "microphone=(), camera=()"),
    ):
        app.include_router(routes)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "corrections": corrections.newest(desk.catalogue)}

    return app


def _events(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    @routes.get("/events")
    async def events(me: Me, clip: str | None = None) -> StreamingResponse:
        if clip is not None:
            recording_of(clip)
        return StreamingResponse(desk.hub.stream(me.name, clip), media_type="text/event-stream")

    return routes


@contextmanager
def _filling(desk: Desk) -> Generator[None]:
    """Keeps the queue up to date meanwhile."""
    stopped = threading.Event()

    def fill() -> None:
        while not stopped.is_set():
            began = time.monotonic()
            try:
                queue.refresh(desk.catalogue, stopped.is_set)
            except RosellaError as error:
                logger.warning("%s", error)
            desk.filled.set()
            stopped.wait(_pause(time.monotonic() - began))

    thread = threading.Thread(target=fill, name="queue", daemon=True)
    thread.start()
    yield
    stopped.set()
    thread.join()


def _pause(took: float) -> float:
    """Seconds until the queue is brought up to date again, which took so many."""
    return min(max(_SOONEST, took / _SHARE), _LATEST)


def _wrong(_: Request, error: UserError) -> JSONResponse:
    return _answer(Refusal(HTTPStatus.BAD_REQUEST, str(error)))


def _unavailable(_: Request, error: Unavailable) -> JSONResponse:
    logger.warning("%s", error)
    sentence = "The catalogue does not answer: nothing was saved; try again."
    return _answer(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence, headers={"Retry-After": "2"}))


def _answer(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
