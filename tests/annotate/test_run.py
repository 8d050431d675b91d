"""The server as a process: who is let in, where it listens, how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from annotate.small import ONE, PASSWORD, Client, add_recordings, serving, written
from rosella.annotate import run
from rosella.annotate.accounts import Accounts
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.store import Catalogue
from rosella.errors import UserError
from support import environment


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    catalogue = Catalogue.open(f"sqlite:///{folder}/catalogue.sqlite")
    add_recordings(catalogue, folder)
    catalogue.close()
    return folder


class Started:
    """`rosella annotate` over a corpus, and what it says."""

    def __init__(self, corpus: Path, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "rosella",
            "annotate",
            "--corpus",
            str(corpus),
            "--port",
            "0",
            *arguments,
        ]
        environ = environment() | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = [self.line()]
        self.address = re.search(r"http://\S+:(\d+)", self.said[0])[0]  # type: ignore[index]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def client(self) -> Client:
        return Client(httpx.Client(base_url=self.address, timeout=30))

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest


@pytest.fixture
def start(corpus: Path) -> Iterator[type]:
    started: list[Started] = []

    def start(*arguments: str) -> Started:
        started.append(Started(corpus, *arguments))
        return started[-1]

    yield start  # type: ignore[misc]
    for each in started:
        each.process.kill()
        each.process.wait()


def test_a_single_user_needs_no_login_and_is_told_so(start):
    server = start()
    assert server.said[0].startswith("talks is corrected at http://127.0.0.1:")
    assert "without login" in server.line()
    client = server.client().enter()
    assert client.get("me").json()["local"] is True
    assert client.save(written(client.clip(ONE.id), "eh hallo")).json()["version"] == 1
    code, rest = server.end(signal.SIGTERM)
    assert code == 0 and "Stopped; all that was saved is kept." in rest


def test_the_first_owner_comes_by_a_link_and_then_nobody_without_an_account(start, corpus):
    server = start("--host", "0.0.0.0")
    link = re.search(r"#invitation=(\S+)", server.line())[1]  # type: ignore[index]
    port = server.address.rsplit(":", 1)[1]
    client = Client(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
    assert client.get("me").status_code == 401
    assert (
        client.post(f"invitations/{link}", {"name": "Olga", "password": PASSWORD}).json()["role"] == "owner"
    )
    assert server.end(signal.SIGTERM)[0] == 0
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "rosella",
            "annotate",
            "invite",
            "--role",
            "reviewer",
            "--corpus",
            str(corpus),
        ],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert re.fullmatch(rf"{server.address}/#invitation=[\w-]{{43}}\n", made.stdout), made.stderr
    locally = start().client()
    assert locally.get("me").status_code == 401
    assert locally.post("login", {"name": "Olga", "password": PASSWORD}).status_code == 200


def test_a_link_to_a_new_password_is_for_somebody_who_is_there(corpus):
    with pytest.raises(UserError, match="Nobody has an account here"):
        run.let_in_again(corpus, None, "Olga", None)
    catalogue = Catalogue.open(f"sqlite:///{corpus}/catalogue.sqlite")
    accounts = Accounts(catalogue, Limits())
    for name in ("Olga", "Zoë"):
        accounts.join(accounts.invite("owner"), name, PASSWORD)
    with pytest.raises(UserError, match="Nobody has the name 'Olaf' here: choose of Olga, Zoë"):
        run.let_in_again(corpus, None, "Olaf", None)
    link = run.let_in_again(corpus, None, "ZOE\u0308", None)
    address, token = link.split("/#invitation=")
    assert address == "http://127.0.0.1:8001" and accounts.invitation(token).person == "Zoë"
    catalogue.close()


def test_what_was_answered_outlives_a_kill(start, corpus):
    """Whoever saves hears of it only once it is kept; what was cut off may be sent again."""
    server, answered = start(), list[int]()
    client = server.client().enter()
    view, begun = client.clip(ONE.id), threading.Event()

    def save() -> None:
        version = 0
        try:
            while True:
                changed = written({**view, "version": version}, f"eh hallo {version}")
                version = client.save(changed, **{"Idempotency-Key": f"k{version}"}).json()["version"]
                answered.append(version)
                if version == 5:
                    begun.set()
        except httpx.HTTPError:
            begun.set()

    saving = threading.Thread(target=save)
    saving.start()
    assert begun.wait(60)
    assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    saving.join(60)
    catalogue = Catalogue.open(f"sqlite:///{corpus}/catalogue.sqlite")
    kept = corrections.read(catalogue, ONE.id)
    catalogue.close()
    assert kept.version in (answered[-1], answered[-1] + 1) and answered[-1] >= 5
    assert kept.state.turns[0].text == f"eh hallo {kept.version - 1}"
    client = start().client().enter()
    again = client.save(
        written({**view, "version": answered[-1]}, f"eh hallo {answered[-1]}"),
        **{"Idempotency-Key": f"k{answered[-1]}"},
    )
    assert again.json()["version"] == answered[-1] + 1


def test_a_stopped_server_ends_its_streams_and_answers_what_was_begun(alone, monkeypatch):
    save, answers = corrections.save, []
    begun, looking, stopping = (threading.Event() for _ in range(3))

    def slowly(*asked, **more):
        begun.set()
        assert stopping.wait(20)
        return save(*asked, **more)

    def listen(address: str) -> None:
        with httpx.stream("GET", f"{address}/api/events?clip={ONE.id}", timeout=60) as events:
            looking.set()
            list(events.iter_lines())
        stopping.set()

    monkeypatch.setattr(corrections, "save", slowly)
    with serving(alone) as address:
        client = Client(httpx.Client(base_url=address, timeout=60)).enter()
        view = client.clip(ONE.id)
        threads = [
            threading.Thread(target=listen, args=(address,)),
            threading.Thread(target=lambda: answers.append(client.save(written(view, "eh hallo")))),
        ]
        for thread in threads:
            thread.start()
        assert begun.wait(20) and looking.wait(20) and not stopping.is_set()
    for thread in threads:
        thread.join(20)
    assert answers[0].json()["version"] == 1
