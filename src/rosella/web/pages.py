"""A page at `/`: its files, those that all pages share, and what a browser may do with them."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from rosella.web.faults import Refusal

SHARED = Path(__file__).parent / "static"
"""Files that every page finds below /static, beside its own: what others wrote, in `vendor`."""
NONCE = "{nonce}"
"""Stands in index.html for a word that is drawn anew for each answer: only with it may a script add a style."""

_POLICY = (
    "default-src 'self'; style-src 'self' 'nonce-{nonce}'; media-src 'self' blob:; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def router(folder: Path, allowed: str) -> APIRouter:
    """`GET /`, which is index.html of a folder, and `/static/...`; an unknown file is refused with 404.

    `allowed` is the page's Permissions-Policy.
    """
    routes = APIRouter(include_in_schema=False)
    places = {
        path.relative_to(root).as_posix(): StaticFiles(directory=root)
        for root in (SHARED, folder)
        for path in root.rglob("*")
        if path.is_file()
    }
    page = (folder / "index.html").read_text("utf-8")
    headers = _HEADERS | {"Permissions-Policy": allowed}

    @routes.get("/")
    async def index() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": _POLICY.replace(NONCE, nonce), "Cache-Control": "no-store"}
        return HTMLResponse(page.replace(NONCE, nonce), headers=headers | policy)

    @routes.get("/static/{path:path}")
    async def static(path: str, request: Request) -> Response:
        if path not in places:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such file; the page is at /.")
        response = await places[path].get_response(path, request.scope)
        again = {"Cache-Control": "no-cache"}  # asked for again, sent only if changed
        response.headers.update(headers | again)
        return response

    return routes
