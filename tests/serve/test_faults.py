"""The shape of a refusal."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from rosella.serve.faults import Refusal


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
