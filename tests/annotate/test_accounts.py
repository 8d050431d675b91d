"""People and invitations where the clock, or two at once, would have their way."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from annotate.small import PASSWORD
from rosella.annotate.accounts import Accounts, Invitation, Person
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.people import InvitationRow, PersonRow
from rosella.web.faults import Refusal

NEW = "vier koeien grazen"


@pytest.fixture
def accounts(catalogue) -> Accounts:
    return Accounts(catalogue, Limits())


def test_an_invitation_expires_after_a_week(accounts: Accounts, monkeypatch):
    token, now = accounts.invite("annotator"), time.time()
    assert accounts.wanted()
    monkeypatch.setattr(time, "time", lambda: now + 7 * 86_400 - 1)
    assert accounts.invitation(token) == Invitation("annotator", None)
    monkeypatch.setattr(time, "time", lambda: now + 7 * 86_400 + 1)
    with pytest.raises(Refusal, match="expired"):
        accounts.join(token, "Anna", PASSWORD)
    assert not accounts.wanted()


def test_of_two_who_use_an_invitation_at_once_one_gets_in(accounts: Accounts):
    token, together, got = accounts.invite("annotator"), threading.Barrier(2), []

    def join(name: str) -> None:
        together.wait()
        try:
            got.append(accounts.join(token, name, PASSWORD))
        except Refusal as refusal:
            got.append(refusal.code)

    threads = [threading.Thread(target=join, args=(name,)) for name in ("Anna", "Ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(type, got), key=str) == [Person, str] and len(accounts.people()) == 1


def test_a_link_to_a_new_password_expires_serves_once_and_of_several_the_last(
    accounts: Accounts, monkeypatch
):
    accounts.join(accounts.invite("reviewer"), "Anna", PASSWORD)
    first, token, now = accounts.let_in_again("anna"), accounts.let_in_again("Anna"), time.time()
    assert accounts.invitation(token) == Invitation("reviewer", "Anna")
    with pytest.raises(Refusal, match="was used"):
        accounts.join(first, "Anna", NEW)
    monkeypatch.setattr(time, "time", lambda: now + 7 * 86_400 + 1)
    with pytest.raises(Refusal, match="expired"):
        accounts.join(token, "Anna", NEW)
    monkeypatch.setattr(time, "time", lambda: now + 7 * 86_400 - 1)
    assert accounts.who("Anna", PASSWORD), "the old one holds until then"
    assert accounts.join(token, "whatever", NEW) == accounts.who("Anna", NEW) == Person("Anna", "reviewer")
    assert accounts.who("Anna", PASSWORD) is None
    with pytest.raises(Refusal, match="was used"):
        accounts.join(token, "Anna", PASSWORD)


def test_no_link_leads_back_in_who_was_dismissed(accounts: Accounts):
    accounts.join(accounts.invite("annotator"), "Anna", PASSWORD)
    token = accounts.let_in_again("Anna")
    accounts.dismiss("Anna")
    assert not accounts.wanted(), "nobody is left, and nobody is invited"
    for try_it in (lambda: accounts.join(token, "Anna", NEW), lambda: accounts.let_in_again("Anna")):
        with pytest.raises(Refusal):
            try_it()
    assert accounts.people() == []


def test_passwords_are_the_same_whatever_keyboard_typed_them(accounts: Accounts):
    accounts.join(accounts.invite("annotator"), "Zoë", "cafe\u0301 cafe\u0301")
    assert accounts.who("ZOE\u0308", "café café") == Person("Zoë", "annotator")


def test_nothing_that_opens_a_door_is_kept(accounts: Accounts, catalogue):
    token = accounts.invite("owner")
    accounts.join(token, "Anna", PASSWORD)
    with catalogue.session() as session:
        kept = [
            str(tuple(row))
            for table in (PersonRow, InvitationRow)
            for row in session.execute(sa.select(table.__table__))
        ]
    assert len(kept) == 2 and not any(token in row or PASSWORD in row for row in kept)
    assert "$argon2id$" in kept[0]


def test_unknown_names_are_looked_at_as_long_as_known_ones(accounts: Accounts, monkeypatch):
    accounts.join(accounts.invite("annotator"), "Anna", PASSWORD)
    looked, verify = [], accounts._hasher.verify
    monkeypatch.setattr(
        type(accounts._hasher), "verify", lambda self, kept, given: looked.append(kept) or verify(kept, given)
    )
    for name in ("Anna", "nobody", "\x00"):
        assert accounts.who(name, "wrong password") is None
    assert len(looked) == 3 and {kept.split("$")[3] for kept in looked} == {looked[0].split("$")[3]}
