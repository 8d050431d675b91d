"""The page: its files as they are served, and what a person does with it in a browser."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rosella.serve import page
from rosella.web.pages import SHARED
from serve import fake_speech
from serve.fake_speech import Fake


@pytest.fixture
def client() -> TestClient:
    application = fake_speech.app(Fake())
    application.include_router(page.router())
    return TestClient(application)


def test_a_browser_may_load_nothing_but_our_files(client: TestClient) -> None:
    answers = [client.get("/") for _ in range(2)]
    policies = [answer.headers["Content-Security-Policy"] for answer in answers]
    nonces = [re.search(r'data-nonce="([\w-]{20,})"', answer.text)[1] for answer in answers]  # type: ignore[index]
    assert nonces[0] != nonces[1]
    assert policies[0] == (
        f"default-src 'self'; style-src 'self' 'nonce-{nonces[0]}'; media-src 'self' blob:; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answers[0].headers["Cache-Control"] == "no-store"


FILES = {path.relative_to(root): path for root in (page.STATIC, SHARED) for path in root.rglob("*.*")}


@pytest.mark.parametrize("name", sorted(FILES), ids=str)
def test_every_file_is_served_and_asked_for_again(client: TestClient, name: Path) -> None:
    address, path = f"/static/{name.as_posix()}", FILES[name]
    answer = client.get(address)
    assert (answer.status_code, answer.content) == (HTTPStatus.OK, path.read_bytes())
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == (
        "no-cache",
        "nosniff",
    )
    assert path.suffix != ".js" or "javascript" in answer.headers["Content-Type"]
    again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (HTTPStatus.NOT_MODIFIED, b"")


@pytest.mark.parametrize(
    "path", ["../page.py", "%2e%2e/page.py", "..%2fpage.py", "vendor", "", "/etc/passwd", "no.js"]
)
def test_no_other_file_can_be_had(client: TestClient, path: str) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert b"def router" not in answer.content


def test_the_page_names_only_files_that_are_there() -> None:
    index = (page.STATIC / "index.html").read_text("utf-8")
    named = set(re.findall(r'(?:src|href)="/static/([^"]+)"', index))
    for module in page.STATIC.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', module.read_text("utf-8")))
    there = {path.as_posix() for path in FILES}
    assert named - there == set()
    assert there - named == {"index.html"}
