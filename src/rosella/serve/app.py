"""The whole server as one ASGI application, and how it is run."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response
from starlette.types import ASGIApp

from rosella.serve import models, page, socket, speech, voices
from rosella.serve.guard import Guard
from rosella.serve.metrics import Counted
from rosella.serve.studio import Studio
from rosella.web.faults import Refusal, install

if TYPE_CHECKING:
    from rosella.serve.ears import Ears


def create_app(studio: Studio, ears: Ears, keys: Sequence[str]) -> ASGIApp:
    """All routes over one studio; `ears` hear consents and samples, `keys` let in who sends one of them."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        studio.close()

    app = FastAPI(title="Rosella", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    install(app, speech.PURPOSE)
    for routes in (
        speech.router(studio),
        socket.router(studio),
        models.router(studio.name, int(time.time())),
        voices.router(studio.speaker, studio.shelf, ears, studio.limits),
        page.router(),
    ):
        app.include_router(routes)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        if not studio.engine.alive:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The model no longer runs: start the server anew.")
        admission = studio.admission
        return {"status": "ok", "speaking": admission.speaking, "waiting": admission.waiting}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(studio.metrics.page(), media_type="text/plain; version=0.0.4")

    return Guard(Counted(app, studio.metrics.requests), keys)
