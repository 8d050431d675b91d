"""The page at `/`: its files, and what a browser may do with them."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from rosella.serve.faults import Refusal

STATIC = Path(__file__).parent / "static"
NONCE = "{nonce}"
"""Stands in index.html for a word that is drawn anew for each answer: only with it may a script add a style."""

_POLICY = (
    "default-src 'self'; style-src 'self' 'nonce-{nonce}'; media-src blob:; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self)",
}


def router() -> APIRouter:
    """`GET /` and `/static/...`; an unknown file is refused with 404."""
    routes = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=STATIC)
    names = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    page = (STATIC / "index.html").read_text("utf-8")

    @routes.get("/")
    async def index() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": _POLICY.replace(NONCE, nonce), "Cache-Control": "no-store"}
        return HTMLResponse(page.replace(NONCE, nonce), headers=_HEADERS | policy)

    @routes.get("/static/{path:path}")
    async def static(path: str, request: Request) -> Response:
        if path not in names:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such file; the page is at /.")
        response = await files.get_response(path, request.scope)
        response.headers.update(
            _HEADERS | {"Cache-Control": "no-cache"}
        )  # asked for again, sent only if changed
        return response

    return routes
