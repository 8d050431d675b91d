"""The page: its files as they are served, and what a person does with it in a browser."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rosella.serve import page
from serve import fake_speech
from serve.fake_speech import Fake

VENDORED = {
    "vendor/wavesurfer.js": "1bca765cc75bc4af079ecd1b2edd659b155e5d1715e75a29d68272d9f141f951",
    "vendor/regions.js": "14780f7d3f7cabfc4fb9a37ddf81c4fcc1045cfdb0b93c4a8c4c6acd52d03a7f",
    "vendor/LICENSE": "0fc992dc27cc34dde78bfeb024b4cadff6320f0dcbee2f1228efaeb533ca1364",
}
"""wavesurfer.js 7.12.12 as npm has it: dist/wavesurfer.esm.js, dist/plugins/regions.esm.js, LICENSE."""


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
        f"default-src 'self'; style-src 'self' 'nonce-{nonces[0]}'; media-src blob:; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answers[0].headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", sorted(page.STATIC.rglob("*.*")), ids=lambda path: path.name)
def test_every_file_is_served_and_asked_for_again(client: TestClient, path: Path) -> None:
    address = f"/static/{path.relative_to(page.STATIC).as_posix()}"
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
    named = {page.STATIC / name for name in re.findall(r'(?:src|href)="/static/([^"]+)"', index)}
    for module in page.STATIC.glob("*.js"):
        named |= {
            module.parent / name for name in re.findall(r'from "\./([^"]+)"', module.read_text("utf-8"))
        }
    unnamed = set(page.STATIC.glob("*.*")) - named
    assert [path for path in named if not path.is_file()] == []
    assert unnamed == {page.STATIC / "index.html"}


def test_what_others_wrote_is_as_they_wrote_it() -> None:
    found = {
        path.relative_to(page.STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (page.STATIC / "vendor").iterdir()
    }
    assert found == VENDORED
