"""What is told to whoever looks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import Empty, Queue
from typing import Any

import httpx2 as httpx
import pytest

from annotate.small import FIRST, ONE, THREE, Client, serving, written
from rosella.annotate.desk import Desk
from rosella.annotate.events import _Listener, _News
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change
from rosella.corpus.catalogue.store import Catalogue

Event = tuple[str, dict[str, Any]]


class Listening:
    """The events of a clip, as they come."""

    def __init__(self, address: str, clip: str, cookies: Any = None) -> None:
        self.events: Queue[Event] = Queue()
        self._client = httpx.Client(base_url=address, cookies=cookies, timeout=30)
        self._there, self._left = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._listen, args=(clip,), daemon=True)
        self.thread.start()
        assert self._there.wait(10)

    def _listen(self, clip: str) -> None:
        with self._client.stream("GET", f"/api/events?clip={clip}") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self._there.set()
            name = ""
            try:
                for line in answer.iter_lines():
                    if self._left.is_set():
                        return
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        self.events.put((name, json.loads(line.removeprefix("data: "))))
                    elif line.startswith(":"):
                        self.events.put(("alive", {}))
            except httpx.HTTPError:
                pass

    def next(self, wanted: str, met: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next event of a name that is as it should be, within ten seconds."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                name, data = self.events.get(timeout=1)
            except Empty:
                continue
            if name == wanted and met(data):
                return data
        raise AssertionError(f"no event {wanted}")

    def leave(self) -> None:
        self._left.set()


@pytest.fixture
def limits() -> Limits:
    return Limits(heartbeat=0.2)


@pytest.fixture
def address(alone: Desk) -> Iterator[str]:
    with serving(alone) as address:
        yield address


@pytest.fixture
def client(address: str) -> Client:
    return Client(httpx.Client(base_url=address)).enter()


def test_a_change_is_told_at_once_to_who_has_the_clip_open(catalogue):
    """Without waiting for the next look at the database."""
    desk = Desk(catalogue, "talks", "/talks", local=True, limits=Limits(poll=600))
    with serving(desk) as address:
        client = Client(httpx.Client(base_url=address)).enter()
        here, there = Listening(address, ONE.id), Listening(address, THREE.id)
        assert client.save(written(client.clip(ONE.id), "eh hallo")).status_code == 200
        told = here.next("changed")
        assert (told["clip"], told["version"], told["author"], told["action"]) == (ONE.id, 1, "local", "edit")
        assert client.save(written(client.clip(THREE.id), "hallo")).status_code == 200
        assert there.next("changed")["clip"] == THREE.id


def test_what_another_process_changes_is_told_within_a_second_or_so(address, catalogue: Catalogue):
    listening, before = Listening(address, ONE.id), corrections.read(catalogue, ONE.id)
    after = replace(before.state, comment="von nebenan")
    begun = time.monotonic()
    corrections.save(catalogue, "Anna", [Change(ONE.id, 0, after, "comment")], "k")
    told = listening.next("changed")
    assert (told["author"], told["version"]) == ("Anna", 1) and time.monotonic() - begun < 5


def test_who_comes_late_is_told_how_things_are(address, client):
    assert client.save(written(client.clip(ONE.id), "eh hallo")).status_code == 200
    assert Listening(address, ONE.id).next("changed")["version"] == 1


def test_a_speakers_name_concerns_all_clips_of_the_recording(address, client):
    here, there = Listening(address, ONE.id), Listening(address, THREE.id)
    assert client.post(f"recordings/{FIRST}/speakers", {"before": "A", "after": "Anna"}).status_code == 200
    told = here.next("changed")
    assert (told["clip"], told["recording"], told["action"]) == (None, FIRST, "rename")
    there.next("alive")
    assert all(name != "changed" for name, _ in list(there.events.queue))


def test_who_has_a_clip_open_is_told_and_missed(shared: Desk):
    with serving(shared) as address:
        anna, ben = (person(shared, address, name) for name in ("Anna", "Ben"))
        listening = Listening(address, ONE.id, anna.http.cookies)
        listening.next("people", lambda data: data["people"] == [])
        other = Listening(address, ONE.id, ben.http.cookies)
        assert listening.next("people")["people"] == ["Ben"]
        assert anna.clip(ONE.id)["people"] == ["Ben"] and anna.clip(THREE.id)["people"] == []
        other.leave()
        assert listening.next("people")["people"] == []


def person(desk: Desk, address: str, name: str) -> Client:
    client = Client(httpx.Client(base_url=address))
    token = desk.accounts.invite("annotator")
    answer = client.post(f"invitations/{token}", {"name": name, "password": "drie paarden lopen"})
    assert answer.status_code == 200
    return client.enter()


def test_a_stream_ends_when_its_time_is_over_so_that_it_is_asked_for_again(catalogue):
    desk = Desk(catalogue, "talks", "/talks", local=True, limits=Limits(stream=0.3, heartbeat=0.1))
    with serving(desk) as address:
        listening = Listening(address, ONE.id)
        listening.thread.join(10)
        assert not listening.thread.is_alive()


def test_who_reads_nothing_is_sent_away_and_holds_nobody_up(alone: Desk):
    async def told() -> int:
        events = aiter(alone.hub.stream("Anna", ONE.id))
        await anext(events)
        (listener,) = alone.hub._listeners
        for _ in range(3000):
            listener.tell("event: x\n\n")
        return len([event async for event in events])

    assert asyncio.run(asyncio.wait_for(told(), 10)) <= 1000
    assert alone.hub._listeners == set()


class Rows:
    """A history in which numbers appear in any order."""

    def __init__(self, monkeypatch) -> None:
        self.numbers: set[int] = set()
        monkeypatch.setattr(corrections, "newest", lambda _: max(self.numbers, default=0))
        monkeypatch.setattr(corrections, "history", self._history)

    def _history(self, _: Any, since: int = 0) -> list[Any]:
        row = corrections.Correction
        values = dict.fromkeys(row.__dataclass_fields__)
        return [row(**{**values, "number": n}) for n in sorted(self.numbers) if n > since]


def test_a_number_that_comes_late_is_not_passed_over(monkeypatch):
    """Transactions do not end in the order in which they took their numbers; and some never end."""
    rows, now = Rows(monkeypatch), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    rows.numbers |= {1, 2}
    news = _News(None)  # type: ignore[arg-type]
    news.begin()
    for come, told in (({3, 5}, [3, 5]), ({4}, [4]), ({7, 9}, [7, 9]), (set(), []), ({6}, [6])):
        now[0] += 1
        rows.numbers |= come
        assert [row.number for row in news.since()] == told
    now[0] += 20
    assert news.since() == [] and news._floor == 9  # 8 has had its time
    rows.numbers |= {10}
    assert [row.number for row in news.since()] == [10] and news._floor == 10


def test_who_is_here_can_be_asked_while_others_come(alone: Desk) -> None:
    class Busy(str):
        """Somebody whose clip is looked at just when another one comes."""

        def __eq__(self, other: object) -> bool:
            alone.hub._listeners.add(_Listener("Ben", ONE.id))
            return str(self) == other

        __hash__ = str.__hash__

    alone.hub._listeners.add(_Listener("Anna", Busy(ONE.id)))
    assert alone.hub.people(ONE.id, "Carl") == ["Anna"]
