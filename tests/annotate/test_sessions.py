"""Sessions, and when they are over."""

from __future__ import annotations

import time

import sqlalchemy as sa

from annotate.small import PASSWORD
from rosella.annotate.accounts import Accounts
from rosella.annotate.sessions import Sessions
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.people import SessionRow


def test_a_session_is_over_after_two_weeks_and_is_not_kept(catalogue, monkeypatch):
    accounts, sessions = Accounts(catalogue, Limits()), Sessions(catalogue, Limits())
    anna = accounts.join(accounts.invite("annotator"), "Anna", PASSWORD)
    token, now = sessions.open(anna), time.time()
    visitor = Sessions(catalogue, Limits()).find(token)  # a server that was started anew
    assert visitor is not None and (visitor.name, visitor.role, visitor.local) == ("Anna", "annotator", False)
    monkeypatch.setattr(time, "time", lambda: now + 14 * 86_400 - 10)
    assert sessions.find(token) == visitor
    monkeypatch.setattr(time, "time", lambda: now + 14 * 86_400 + 10)
    assert sessions.find(token) is None
    other = sessions.find(sessions.open(anna))
    assert other is not None and other.csrf != visitor.csrf
    with catalogue.session() as session:
        kept = [row.token for row in session.scalars(sa.select(SessionRow))]
    assert len(kept) == 1 and token not in kept
