"""What a request is answered when it cannot be served: one sentence, in the shape that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rosella.errors import NoSpace, UserError


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


@contextmanager
def refusing(param: str, code: str | None = None) -> Generator[None]:
    """What the user did wrong within is refused as the fault of a field."""
    try:
        yield
    except UserError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error), param=param, code=code) from error


def install(app: FastAPI, purpose: str) -> None:
    """Have an app answer in one shape whatever ends a request: refusals, bad fields, unknown addresses, its own faults.

    `purpose` is what there is instead of an unknown address, as the second half of a sentence.
    """
    refusals: dict[Any, Any] = {**_REFUSALS, HTTPException: partial(_of_http, purpose)}
    for kind, refusal in refusals.items():
        app.add_exception_handler(kind, lambda request, error, made=refusal: _answer(made(request, error)))


def _answer(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, refusal.status, refusal.headers)


def _of_http(purpose: str, request: Request, error: HTTPException) -> Refusal:
    """The framework's own errors: no such address or method, a body that cannot be read."""
    if isinstance(error.__cause__, Refusal):  # raised while a body was read
        return error.__cause__
    status, headers, code = HTTPStatus(error.status_code), error.headers, None
    sentence = f"{str(error.detail).rstrip('.')}: correct the request."
    if status == HTTPStatus.NOT_FOUND:
        sentence, code = f"There is nothing at this address: {purpose}.", "unknown_url"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (headers or {}).get("Allow", "another method")
        sentence, code = f"This address takes no {request.method}: use {allowed}.", "method_not_allowed"
    return Refusal(status, sentence, code=code, headers=headers)


def _of_fields(_: Request, error: RequestValidationError) -> Refusal:
    """The first field that is wrong."""
    first = error.errors()[0]
    kind, said = first["type"], str(first["msg"]).removeprefix("Value error, ")
    param = ".".join(map(str, first["loc"][1:])) or None
    if kind == "json_invalid":
        return Refusal(HTTPStatus.BAD_REQUEST, "The body is no JSON that can be read: send one JSON object.")
    if kind == "missing":
        sentence = f"The request has no {param or 'body'}: send it."
    elif "UploadFile" in said:
        sentence = f"{param} is no file: send it as one, in multipart/form-data."
    else:
        sentence = f"{param or 'The body'} cannot be used: {said[:1].lower()}{said[1:].rstrip('.')}."
    return Refusal(HTTPStatus.BAD_REQUEST, sentence, param=param)


def _of_server(_: Request, error: Exception) -> Refusal:
    """What went wrong is for the log, not for whoever asked."""
    sentence = "The server failed: try again, and tell who runs it if that does not help."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)


def _of_disk(_: Request, error: NoSpace) -> Refusal:
    sentence = "The server's disk is full and nothing was kept: tell who runs it, and try again later."
    return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, sentence, code="disk_full")


_REFUSALS: dict[Any, Any] = {
    Refusal: lambda _, error: error,
    RequestValidationError: _of_fields,
    NoSpace: _of_disk,
    Exception: _of_server,
}
