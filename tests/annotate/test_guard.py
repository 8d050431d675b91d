"""Who may come in, and who may do what: every route, asked by everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from annotate.small import FIRST, ONE, Client, client_of, fault, joined
from rosella.annotate.app import bare
from rosella.annotate.desk import Desk

EVERYBODY = ("/", "/static/{path:path}", "/health", "/api/login", "/api/invitations/{token}")
NEEDED = {
    "GET /api/me": "annotator",
    "POST /api/logout": "annotator",
    "POST /api/next": "annotator",
    "GET /api/clips/{clip}": "annotator",
    "GET /api/clips/{clip}/audio": "annotator",
    "GET /api/clips/{clip}/peaks": "annotator",
    "PUT /api/clips/{clip}": "annotator",
    "POST /api/check": "annotator",
    "POST /api/corrections/{number}/undo": "annotator",
    "POST /api/batches/{batch}/undo": "annotator",
    "GET /api/recordings/{recording}/speakers": "annotator",
    "POST /api/recordings/{recording}/speakers": "annotator",
    "GET /api/recordings/{recording}/speakers/{name}/audio": "annotator",
    "GET /api/search": "annotator",
    "POST /api/replace": "annotator",
    "GET /api/suggestions": "annotator",
    "GET /api/events": "annotator",
    "GET /api/progress": "annotator",
    "GET /api/export/history.csv": "reviewer",
    "GET /api/export/agreement.csv": "reviewer",
    "POST /api/invitations": "owner",
    "GET /api/people": "owner",
    "DELETE /api/people/{name}": "owner",
    "POST /api/people/{name}/invitations": "owner",
}
"""The least role for each route."""
ROLES = ("annotator", "reviewer", "owner")


def routes(app) -> Iterator[str]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield from (f"{method} {route.path}" for method in route.methods)
        elif included := getattr(route, "original_router", None):
            yield from routes(included)


def test_every_route_has_its_role(shared: Desk):
    found = {each for each in routes(bare(shared)) if each.split()[1] not in EVERYBODY}
    assert found == set(NEEDED)


@pytest.fixture
def visitors(shared: Desk) -> Iterator[dict[str, Client]]:
    with client_of(shared) as nobody:
        yield {"nobody": nobody, **{role: joined(shared, nobody, role.title(), role) for role in ROLES}}


def test_everybody_gets_as_far_as_his_role(visitors):
    """What is sent is nonsense, so that nothing is changed: whoever may come in is told that, others that they may not."""
    for needed, least in NEEDED.items():
        method, path = needed.split(" /api/")
        if path in ("logout", "events"):
            continue
        filled = path.replace("{clip}", ONE.id).replace("{recording}", FIRST)
        for part in ("{number}", "{batch}", "{name}"):
            filled = filled.replace(part, "0")
        for role, visitor in visitors.items():
            answer = visitor.get(filled) if method == "GET" else visitor.ask(method, filled, {"role": "king"})
            if role == "nobody":
                assert "log in" in fault(answer, 401), needed
            elif ROLES.index(role) < ROLES.index(least):
                assert f"role {least}" in fault(answer, 403), needed
            else:
                assert answer.status_code not in (401, 403), needed


@pytest.mark.parametrize("needed", [each for each in NEEDED if not each.startswith("GET")])
def test_what_changes_something_needs_the_token_of_the_page(visitors, needed):
    method, path = needed.split(" /api/")
    for token in ("", visitors["reviewer"].csrf, "x" * 200):
        answer = visitors["owner"].ask(method, path, {}, **{"X-CSRF-Token": token})
        assert "earlier login" in fault(answer, 403)
    assert visitors["owner"].get("me").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_hosts_ask_in_vain(local: Client, method, headers):
    path = "me" if method == "GET" else "check"
    assert "Pages of other hosts" in fault(local.ask(method, path, {"turns": []}, **headers), 403)


def test_a_link_from_elsewhere_leads_to_the_page(local: Client):
    assert local.http.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert local.ask("POST", "check", {"turns": []}, Origin="http://127.0.0.1:8001").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "10.0.0.1", "[", ""]
)
def test_without_accounts_no_other_name_leads_here(local: Client, host):
    """A name that leads to 127.0.0.1 all of a sudden is another host's page."""
    assert "sits at its machine" in fault(local.get("me", Host=host), 403)
    assert "sits at its machine" in fault(local.http.get("/", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost", "localhost:9000", "[::1]:8001"])
def test_without_accounts_this_machine_leads_here(local: Client, host):
    assert local.get("me", Host=host).json()["local"] is True


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_without_accounts_nobody_is_let_in_by_a_proxy(local: Client, header):
    assert "rosella annotate invite" in fault(local.get("me", **{header: "203.0.113.1"}), 403)


def test_with_accounts_any_name_leads_here(shared: Desk):
    with client_of(shared, "https://annotate.example") as client:
        assert fault(client.get("me"), 401) and client.http.get("/").status_code == 200


def test_answers_stay_with_who_asked(local: Client):
    for path in ("me", f"clips/{ONE.id}/audio", "nothing"):
        headers = local.get(path).headers
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_body_that_is_too_long_is_refused(local: Client):
    assert "256 KiB" in fault(local.post("check", {"turns": [], "more": "x" * (256 << 10)}), 413)


def test_whatever_is_nonsense_is_one_sentence(local: Client):
    headers = {"X-CSRF-Token": local.csrf, "Content-Type": "application/json"}
    for content in (b"{", b"\xff", b"[" * 100_000, b'"', b"null", b"{}", b'{"turns": 1e999}'):
        assert fault(local.http.post("/api/check", content=content, headers=headers), 400)
    for path in ("batches/%00/undo", "batches/a'b/undo", "corrections/x/undo", f"corrections/{2**64}/undo"):
        assert fault(local.post(path), 400)
    assert "no clip" in fault(local.get("events?clip=%00"), 400)
    assert "nothing at this address" in fault(local.get("nothing"), 404)
    assert "takes no DELETE" in fault(local.ask("DELETE", "me"), 405)
