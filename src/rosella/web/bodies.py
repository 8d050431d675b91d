"""What a request may send: no more than so many bytes, however it says that they come."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from rosella.web.faults import Refusal


def limited(most: int) -> type[APIRoute]:
    """Routes (`APIRouter(route_class=...)`) that refuse a body of more than `most` bytes before it is held."""

    class Limited(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def limited(request: Request) -> Response:
                announced = request.headers.get("content-length", "")
                if announced.isdigit():
                    _require(int(announced), most)
                return await handle(Request(request.scope, _counted(request.receive, most)))

            return limited

    return Limited


def _counted(receive: Receive, most: int) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        _require(size, most)
        return message

    return counted


def _require(size: int, most: int) -> None:
    if size > most:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The request has more than the {most >> 10:,} KiB that are taken here: send less.",
            code="body_too_large",
        )
