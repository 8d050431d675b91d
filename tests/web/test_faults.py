"""What a request is answered when it cannot be served."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import pytest
from fastapi import Body, FastAPI, Form, UploadFile
from fastapi.testclient import TestClient

from rosella.errors import NoSpace, UserError
from rosella.web.faults import Refusal, install, refusing

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(HTTPStatus.NOT_FOUND, "invalid_request_error"), (HTTPStatus.BAD_GATEWAY, "server_error")],
)
def test_a_refusal_says_whose_fault_it_is_in_the_shape_that_clients_read(
    status: HTTPStatus, kind: str
) -> None:
    refusal = Refusal(status, "There is no such voice.", param="voice", code="voice_not_found")
    assert refusal.body == {
        "error": {
            "message": "There is no such voice.",
            "type": kind,
            "param": "voice",
            "code": "voice_not_found",
        }
    }


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    install(app, "busy is at /busy")

    @app.post("/busy")
    def busy() -> None:
        raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Come back.", code="busy", headers={"Retry-After": "3"})

    @app.post("/speed")
    def speed(input: Annotated[str, Body()], speed: Annotated[float, Body(le=4)] = 1) -> str:
        return input * int(speed)

    @app.post("/file")
    def file(name: Annotated[str, Form()], clip: UploadFile) -> str:
        return name

    @app.post("/user")
    def user() -> None:
        with refusing("input", "too_long"):
            raise UserError("The text is too long: shorten it.")

    @app.post("/disk")
    def disk() -> None:
        raise NoSpace("No space left to write /secret/place: free some.")

    @app.post("/broken")
    def broken() -> None:
        raise OSError("/secret/place")

    return TestClient(app, raise_server_exceptions=False)


def fault(answer, status: int) -> dict[str, str | None]:
    assert answer.status_code == status and list(answer.json()) == ["error"]
    fault = answer.json()["error"]
    assert set(fault) == {"message", "type", "param", "code"} and "\n" not in fault["message"]
    assert fault["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return fault


def test_a_refusal_carries_its_code_and_headers(client):
    answer = client.post("/busy")
    assert fault(answer, 429)["code"] == "busy" and answer.headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("path", "sent", "param", "sentence"),
    [
        ("speed", {"content": b"{", "headers": JSON}, None, "The body is no JSON that can be read"),
        ("speed", {"content": b"\xff", "headers": JSON}, None, "error parsing the body: correct the request."),
        ("speed", {}, "input", "The request has no input: send it."),
        ("speed", {"json": []}, None, "send it."),
        ("speed", {"json": {"input": "a", "speed": 5}}, "speed", "speed cannot be used: input should be less"),
        ("speed", {"json": {"input": ["a"]}}, "input", "input cannot be used: input should be a valid string"),
        ("file", {"data": {"name": "a"}}, "clip", "The request has no clip: send it."),
        ("file", {"data": {"name": "a", "clip": "b"}}, "clip", "clip is no file: send it as one"),
        ("file", {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}}, None, "boundary"),
    ],
)  # fmt: skip
def test_bad_fields_are_one_sentence_and_the_clients_fault(client, path, sent, param, sentence):
    found = fault(client.post(f"/{path}", **sent), 400)
    assert sentence in str(found["message"]) and (param is None or found["param"] == param)


def test_what_the_user_did_wrong_is_the_fault_of_a_field(client):
    found = fault(client.post("/user"), 400)
    assert (found["message"], found["param"], found["code"]) == (
        "The text is too long: shorten it.", "input", "too_long",
    )  # fmt: skip


def test_unknown_addresses_and_methods_have_the_same_shape(client):
    assert "nothing at this address" in str(fault(client.get("/nowhere"), 404)["message"])
    answer = client.get("/speed")
    assert (
        "takes no GET: use POST" in str(fault(answer, 405)["message"]) and answer.headers["Allow"] == "POST"
    )


def test_the_servers_own_faults_tell_nothing_of_it(client):
    assert "/secret" not in str(fault(client.post("/broken"), 500)["message"])
    found = fault(client.post("/disk"), 507)
    assert "/secret" not in str(found["message"]) and found["code"] == "disk_full"
