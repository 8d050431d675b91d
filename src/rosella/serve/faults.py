"""What a request is answered when it cannot be served: one sentence, in the shape that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """Ends a request with a status and a sentence; `param` names the field that is to blame, `code` the kind of fault."""

    def __init__(
        self,
        status: HTTPStatus,
        sentence: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status, self.param, self.code = status, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """As JSON: `{"error": {"message", "type", "param", "code"}}`."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        fault = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": fault}
