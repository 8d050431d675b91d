"""Two recordings with three clips, and clients of a server over them."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from corpus.fakes import save_tone, taken
from rosella.annotate.app import create_app
from rosella.annotate.desk import Desk
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.stage import STAGES, StageResult
from rosella.corpus.steps.scan import source_of
from rosella.records import Recording, Turn, Utterance, utterance_id
from rosella.web.listening import listen, server_of

FIRST, SECOND = "a" * 32, "b" * 32
SECONDS = 12.0
HEARD = [Turn(1.0, 3.0, "A", ""), Turn(3.5, 6.0, "B", ""), Turn(8.0, 11.0, "A", "")]
PASSWORD = "drie paarden lopen"
HOST = "http://127.0.0.1:8001"


def said(
    recording: str, start: float, end: float, text: str, speakers: tuple[str, ...] = ("A",)
) -> Utterance:
    name = utterance_id(recording, start, end)
    facts: dict[str, Any] = {"main_speaker": speakers[0], "language": "nl", "confidence": -0.1}
    return Utterance(name, recording, start, end, text, None, speakers, transcript_source="model", **facts)


ONE = said(FIRST, 0.9, 6.1, "[S1] eh halo [S2] ja nee", ("A", "B"))
TWO = said(FIRST, 7.9, 11.1, "[S1] wij gaan naar halo")
THREE = said(SECOND, 0.9, 6.1, "[S1] halo [S2] nee", ("A", "B"))


def add_recordings(catalogue: Catalogue, folder: Path) -> None:
    for number, (id, utterances) in enumerate({FIRST: [ONE, TWO], SECOND: [THREE]}.items()):
        path = str(folder / f"r{number}.wav")
        if not Path(path).exists():
            save_tone(Path(path), SECONDS, seed=number)
        catalogue.add(Recording(id, path, SECONDS, 16_000, 1, language="nl"), source_of(path), [])
        catalogue.finish(taken(catalogue, id, "diarize"), StageResult(turns=HEARD))
        catalogue.finish(taken(catalogue, id, "segment"), StageResult(utterances))
        for stage in STAGES[3:]:
            catalogue.finish(taken(catalogue, id, stage), StageResult())


class Client:
    """Asks as the page does: with the token of its login, and a key of its own for each change."""

    def __init__(self, http: httpx.Client | TestClient) -> None:
        self.http, self.csrf, self._keys = http, "", itertools.count()

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(f"/api/{path}", headers=headers)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        key = f"key-{id(self)}-{next(self._keys)}"
        sent = {"X-CSRF-Token": self.csrf, "Idempotency-Key": key} | headers
        content = (
            None if body is None else json.dumps(body)
        )  # in ASCII, so that it can hold what is no character
        kind = {"Content-Type": "application/json"}
        return self.http.request(method, f"/api/{path}", content=content, headers=sent | kind)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, {} if body is None else body, **headers)

    def enter(self) -> Client:
        """Know who one is."""
        self.csrf = self.get("me").json()["csrf"]
        return self

    def clip(self, id: str) -> dict[str, Any]:
        answer = self.get(f"clips/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def save(self, view: dict[str, Any], action: str = "edit", **headers: str) -> Any:
        """Save a clip as the view has it."""
        body = {"version": view["version"], "state": view["state"], "action": action, "seconds": 2.5}
        return self.ask("PUT", f"clips/{view['id']}", body, **headers)


def written(view: dict[str, Any], text: str, turn: int = 0, **judged: Any) -> dict[str, Any]:
    """A view in which a turn says something else."""
    turns = [
        {**each, "text": text} if number == turn else each
        for number, each in enumerate(view["state"]["turns"])
    ]
    return {**view, "state": {**view["state"], "turns": turns, **judged}}


def kept(view: dict[str, Any]) -> tuple[Any, ...]:
    """What of a clip people make; what is expected of it changes as the queue is filled."""
    return view["version"], view["state"], view["draft"], view["history"]


def fault(answer: Any, status: int) -> str:
    """The sentence of a refusal, in the one shape that all have."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) <= {"error", "current"}
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert "\n" not in told["error"]["message"]
    return told["error"]["message"]


@contextlib.contextmanager
def client_of(desk: Desk, host: str = HOST) -> Iterator[Client]:
    """A client in this process, of the single user where there is one."""
    with TestClient(create_app(desk), base_url=host) as http:
        client = Client(http)
        yield client.enter() if desk.gate.local else client


def joined(desk: Desk, client: Client, name: str, role: Any) -> Client:
    """A new person by an invitation, in another browser of the same server."""
    other = Client(TestClient(client.http.app, base_url=str(client.http.base_url)))  # type: ignore[union-attr]
    token = desk.accounts.invite(role)
    answer = other.post(f"invitations/{token}", {"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return other.enter()


@contextlib.contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """The address of a real server."""
    listening = listen("127.0.0.1", 0)
    server = server_of(create_app(desk), desk.limits.opening, desk.limits.drain, leaving=desk.hub.close)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
