"""What goes on while the server runs: the queue is brought up to date again and again."""

from __future__ import annotations

import sqlalchemy as sa

from annotate.planted import plant
from annotate.small import client_of
from rosella.annotate import app
from rosella.annotate.desk import Desk
from rosella.annotate.filling import FEWEST, known_doubt
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.annotating import QueueRow


def refreshed(desk: Desk) -> None:
    """Wait until the queue was brought up to date from now on: what ends first may have begun before."""
    for _ in range(2):
        desk.filled.clear()
        assert desk.filled.wait(20)


def test_the_order_is_learned_again_while_people_work(empty, monkeypatch):
    monkeypatch.setattr(app, "_pause", lambda took: 0.01)
    truth = plant(empty, clips=2 * FEWEST, recordings=3)
    desk = Desk(empty, "talks", "/talks", local=True, limits=Limits(twice=0.0))
    with client_of(desk) as client:
        refreshed(desk)
        for clip in list(truth.states)[:FEWEST]:
            view = client.clip(clip)
            accepted = {**truth.states[clip].to_dict(), "verdict": "accepted"}
            assert client.save({**view, "state": accepted}, "accept").status_code == 200
        refreshed(desk)
        with empty.session() as session:
            weighed = session.scalars(sa.select(QueueRow.model)).all()
            assert known_doubt(session).clips == FEWEST and weighed == [FEWEST] * FEWEST


def test_the_queue_takes_a_thirtieth_of_the_time_and_is_ten_minutes_old_at_most():
    assert [app._pause(took) for took in (0.0, 2.0, 5.0, 1000.0)] == [60.0, 60.0, 150.0, 600.0]
