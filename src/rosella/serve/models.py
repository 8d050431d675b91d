"""`/v1/models`: the one that speaks, and under which other names it answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from rosella.web.faults import Refusal

ALIASES = ("", "tts-1", "tts-1-hd", "gpt-4o-mini-tts", "rosella")
"""What programs written for OpenAI's models ask for."""


def require_model(name: str, served: str) -> None:
    """Refuses a request for another model than the one that is served."""
    if name != served and name not in ALIASES:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            f"There is no model {name[:64]!r} here: ask for {served}.",
            param="model",
            code="model_not_found",
        )


def router(served: str, since: int) -> APIRouter:
    """`since` is when the model was loaded, in seconds of Unix time."""
    routes = APIRouter()
    model = {"id": served, "object": "model", "created": since, "owned_by": "rosella"}

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @routes.get("/v1/models/{name:path}")
    async def one(name: str) -> dict[str, Any]:
        require_model(name, served)
        return model

    return routes
