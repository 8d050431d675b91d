"""Who may come in: pages of this server alone, by name or, at this machine, without one; and who may do what."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rosella.annotate.accounts import LOCAL, OWNER, ROLES, Role
from rosella.annotate.sessions import Sessions, Visitor
from rosella.annotate.settings import Limits
from rosella.web import listening
from rosella.web.bodies import limited
from rosella.web.faults import Refusal
from rosella.web.origin import FORBIDDEN, from_elsewhere

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_HARMLESS = ("GET", "HEAD")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}


class Guard:
    """Stands before an app: refuses what pages of other hosts ask, and, for a `local` user, what others send on."""

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self._app, self._local = app, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asks = scope["path"].startswith("/api/")

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(
                    _HEADERS | ({"Cache-Control": "no-store"} if asks else {})
                )
            await send(message)

        refusal = self._refusal(Headers(scope=scope), asks)
        answers = self._app if refusal is None else JSONResponse(refusal.body, refusal.status)
        await answers(scope, receive, marked)

    def _refusal(self, headers: Headers, asks: bool) -> Refusal | None:
        site = headers.get("sec-fetch-site", "none")
        if from_elsewhere(headers) or (asks and site not in ("none", "same-origin")):
            return Refusal(HTTPStatus.FORBIDDEN, FORBIDDEN)
        if not self._local:
            return None
        if _host(headers) not in listening.LOCAL or any(name in headers for name in _FORWARDED):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "Without accounts this server answers only who sits at its machine, at 127.0.0.1 or localhost: "
                "whoever runs it lets others in by `rosella annotate invite --role owner`.",
            )
        return None


class Gate:
    """Tells who asks, and refuses who may not."""

    def __init__(self, sessions: Sessions, limits: Limits, corpus: str, local: bool) -> None:
        """`corpus` tells its cookie from those of other servers of this host: ports do not."""
        self._sessions, self._limits = sessions, limits
        self._cookie = f"rosella-annotate-{hashlib.sha256(corpus.encode(errors='replace')).hexdigest()[:8]}"
        self.local = Visitor(LOCAL, OWNER, secrets.token_urlsafe(32), local=True) if local else None

    def routes(self, role: Role | None = ROLES[0]) -> APIRouter:
        """A router below /api for those of a role and above; for everybody where it is None."""
        needed = [] if role is None else [Depends(self._needs(role))]
        return APIRouter(prefix="/api", route_class=limited(self._limits.body), dependencies=needed)

    def remember(self, request: Request, response: Response, token: str) -> None:
        """Have the browser keep a session, where no script reads it and no other host's page sends it."""
        response.set_cookie(
            self._cookie,
            token,
            max_age=int(self._limits.session),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def forget(self, request: Request, response: Response) -> None:
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")

    def _needs(self, role: Role) -> Callable[[Request], None]:
        def admit(request: Request) -> None:
            visitor = self.local or self._sessions.find(request.cookies.get(self._cookie, ""))
            if visitor is None:
                raise Refusal(
                    HTTPStatus.UNAUTHORIZED, "Nobody is logged in: log in first.", code="not_logged_in"
                )
            given = request.headers.get("x-csrf-token", "")
            if request.method not in _HARMLESS and not hmac.compare_digest(
                given.encode(), visitor.csrf.encode()
            ):
                raise Refusal(
                    HTTPStatus.FORBIDDEN, "The page is of an earlier login: load it again.", code="csrf_token"
                )
            if ROLES.index(visitor.role) < ROLES.index(role):
                raise Refusal(
                    HTTPStatus.FORBIDDEN, f"This is for the role {role}: ask an owner.", code="role"
                )
            request.state.visitor = visitor

        return admit


def _visitor(request: Request) -> Visitor:
    return request.state.visitor


Me = Annotated[Visitor, Depends(_visitor)]
"""Who asks, for routes of `Gate.routes`."""


def _host(headers: Headers) -> str | None:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return None
