"""Accounts over HTTP: invitations, logging in and out, being dismissed."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from annotate.small import ONE, PASSWORD, Client, client_of, fault, joined, written
from rosella.annotate.desk import Desk


@pytest.fixture
def nobody(shared: Desk):
    with client_of(shared) as client:
        yield client


@pytest.fixture
def owner(shared: Desk, nobody: Client) -> Client:
    return joined(shared, nobody, "Olga", "owner")


def another(client: Client) -> Client:
    return Client(TestClient(client.http.app, base_url=str(client.http.base_url)))


def log_in(client: Client, name: str, password: str = PASSWORD):
    return client.post("login", {"name": name, "password": password})


def test_who_is_invited_makes_an_account_once(owner: Client):
    url = owner.post("invitations", {"role": "reviewer"}).json()["url"]
    address, token = url.split("/#invitation=")
    assert address == "http://127.0.0.1:8001"
    anna, eve = another(owner), another(owner)
    found = anna.get(f"invitations/{token}").json()
    assert found == {"role": "reviewer", "person": None, "corpus": "talks"}
    told = anna.post(f"invitations/{token}", {"name": " Anna ", "password": PASSWORD}).json()
    assert (told["name"], told["role"], told["local"]) == ("Anna", "reviewer", False)
    assert anna.enter().csrf == told["csrf"]
    assert "was used" in fault(eve.get(f"invitations/{token}"), 404)
    assert "was used" in fault(eve.post(f"invitations/{token}", {"name": "Eve", "password": PASSWORD}), 404)
    assert [each["name"] for each in owner.get("people").json()["people"]] == ["Olga", "Anna"]


def test_an_invitation_that_was_refused_a_name_still_serves(shared: Desk, owner: Client):
    token, client = shared.accounts.invite("annotator"), another(owner)
    for name, password, status in (
        ("olga", PASSWORD, 409),
        ("Local", PASSWORD, 409),
        ("", PASSWORD, 400),
        ("a/b", PASSWORD, 400),
        ("a\x00", PASSWORD, 400),
        ("\ud800", PASSWORD, 400),
        ("x" * 65, PASSWORD, 400),
        ("Anna", "short", 400),
    ):
        assert fault(client.post(f"invitations/{token}", {"name": name, "password": password}), status)
    assert client.post(f"invitations/{token}", {"name": "Anna", "password": PASSWORD}).status_code == 200


def test_who_logs_in_is_known_by_a_cookie_that_no_script_reads(owner: Client):
    client = another(owner)
    answer = log_in(client, "olga")
    cookie = answer.headers["set-cookie"]
    assert answer.json()["name"] == "Olga"
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert client.enter().get("me").json()["role"] == "owner"
    assert client.post("logout").status_code == 200 and fault(client.get("me"), 401)
    assert owner.get("me").status_code == 200


def test_by_https_the_cookie_stays_there(shared: Desk, owner: Client):
    client = Client(TestClient(owner.http.app, base_url="https://talks.example"))
    assert "Secure" in log_in(client, "Olga").headers["set-cookie"]
    assert (
        client.enter()
        .post("invitations", {"role": "annotator"})
        .json()["url"]
        .startswith("https://talks.example/#")
    )


def test_a_session_that_was_ended_or_never_was_opens_nothing(owner: Client):
    client = another(owner)
    log_in(client, "Olga")
    ((name, token),) = client.http.cookies.items()
    client.enter().post("logout")
    for stolen in (token, "", "x", "\x7f"):
        answer = another(owner).http.get("/api/me", headers={"Cookie": f"{name}={stolen}"})
        assert fault(answer, 401)


def test_names_and_passwords_that_are_wrong_are_told_alike(owner: Client):
    client = another(owner)
    wrong = {
        fault(log_in(client, *each), 401)
        for each in (("Olga", "wrong password"), ("Nobody", PASSWORD), ("\x00", "x"))
    }
    assert wrong == {"The name or the password is wrong."}


def test_whoever_tries_passwords_must_wait(shared: Desk, owner: Client):
    client = another(owner)
    for _ in range(shared.limits.tries_of_name):
        assert fault(log_in(client, "OLGA" if _ % 2 else "Olga", "wrong password"), 401)
    answer = log_in(client, "Olga")
    assert "try again in 15 minutes" in fault(answer, 429)
    assert 800 < int(answer.headers["Retry-After"]) <= 900
    joined(shared, owner, "Anna", "annotator")
    assert log_in(client, "Anna").status_code == 200


def test_who_is_dismissed_is_out_at_once_and_his_work_stays(shared: Desk, owner: Client):
    anna = joined(shared, owner, "Anna", "annotator")
    assert owner.ask("DELETE", "people/Anna").status_code == 200
    assert fault(anna.get("me"), 401) and fault(log_in(anna, "Anna"), 401)
    assert "nobody of that name" in fault(owner.ask("DELETE", "people/Anna"), 404)
    token = shared.accounts.invite("annotator")
    taken = another(owner).post(f"invitations/{token}", {"name": "Anna", "password": PASSWORD})
    assert "Somebody has that name" in fault(taken, 409)


def test_who_forgot_the_password_gets_in_by_a_link_and_keeps_everything_else(shared: Desk, owner: Client):
    anna = joined(shared, owner, "Anna", "reviewer")
    assert anna.save(written(anna.clip(ONE.id), "eh hallo")).status_code == 200
    for _ in range(shared.limits.tries_of_name):
        fault(log_in(another(owner), "Anna", "wrong password"), 401)
    url = owner.post("people/Anna/invitations").json()["url"]
    address, token = url.split("/#invitation=")
    assert address == "http://127.0.0.1:8001" and anna.get("me").status_code == 200
    browser = another(owner)
    found = browser.get(f"invitations/{token}").json()
    assert found == {"role": "reviewer", "person": "Anna", "corpus": "talks"}
    assert fault(browser.post(f"invitations/{token}", {"name": "Anna", "password": "short"}), 400)
    told = browser.post(f"invitations/{token}", {"name": "Anna", "password": "vier koeien grazen"}).json()
    assert (told["name"], told["role"]) == ("Anna", "reviewer")
    assert fault(anna.get("me"), 401) and owner.get("me").status_code == 200
    assert fault(log_in(another(owner), "Anna"), 401), "and not 429: what was wrong before counts no more"
    assert log_in(another(owner), "Anna", "vier koeien grazen").status_code == 200
    view = browser.enter().clip(ONE.id)
    assert [each["author"] for each in view["history"]] == ["Anna"]
    assert browser.save(written(view, "eh hallo daar")).status_code == 200
    assert "was used" in fault(
        browser.post(f"invitations/{token}", {"name": "Anna", "password": PASSWORD}), 404
    )


def test_nobody_gets_a_new_password_who_is_nobody(owner: Client, local: Client):
    for name in ("Nobody", "%00", "%F0%9F%A6%9C"):
        assert "nobody of that name" in fault(owner.post(f"people/{name}/invitations"), 404)
    assert "rosella annotate invite" in fault(local.post("people/local/invitations"), 409)


def test_an_owner_stays(shared: Desk, owner: Client):
    assert "last owner" in fault(owner.ask("DELETE", "people/Olga"), 409)
    joined(shared, owner, "Otto", "owner")
    assert owner.ask("DELETE", "people/Olga").status_code == 200
    assert fault(owner.get("people"), 401)


def test_a_single_user_has_no_account_and_is_told_how_others_come(local: Client):
    assert local.get("people").json() == {"people": []}
    assert "rosella annotate invite" in fault(local.post("invitations", {"role": "annotator"}), 409)
    assert "rosella annotate invite" in fault(log_in(local, "local"), 409)
