"""Who may come in: keys, and pages of other hosts."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rosella.web.faults import Refusal
from rosella.web.origin import FORBIDDEN, from_elsewhere

OPEN = ("/health",)
"""What is answered without a key."""


class Guard:
    """Stands before an app, for requests and for sockets."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        """Without `keys` everybody may come in."""
        self._app, self._keys = app, [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": str(refusal)})
        else:
            await JSONResponse(refusal.body, refusal.status, refusal.headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        if from_elsewhere(headers):
            return Refusal(HTTPStatus.FORBIDDEN, FORBIDDEN)
        if self._keys and scope["path"] not in OPEN and not self._known(headers.get("authorization", "")):
            return Refusal(
                HTTPStatus.UNAUTHORIZED,
                "The API key is missing or wrong: send it as Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": 'Basic realm="rosella", charset="UTF-8"'},
            )
        return None

    def _known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "basic":
            given = _password(given)
        elif scheme.lower() != "bearer":
            return False
        return any(hmac.compare_digest(key, given.strip().encode()) for key in self._keys)


def _password(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
