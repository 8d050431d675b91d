"""The dead man's switch of a slice, with a stand-in for Google's metadata server and the service that deletes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloud.fake_ssh import FakeHost, FakeHosts, until
from cloud.jobs import a_job, all_up, install, states
from rosella.cloud.hosts import OpenSsh
from rosella.cloud.launch import start, stop
from rosella.cloud.slices import Slice
from rosella.cloud.switch import Switch, arm, beat

TOKEN = "ya29.a-token-that-nobody-may-see"
ADDRESSES = ("127.0.0.11", "127.0.0.12")


@dataclass
class Google:
    """Hands out a token on one path, and notes who deletes what."""

    deleted: list[str] = field(default_factory=list)
    code: int = 200
    port: int = 0


@pytest.fixture
def google() -> Iterator[Google]:
    noted = Google()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Metadata-Flavor"] == "Google" and self.path.endswith("/default/token")
            body = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"} if known else {}
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def do_DELETE(self) -> None:
            allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
            noted.deleted.append(self.path if allowed else "not allowed")
            self.send_response(noted.code if allowed else 401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    noted.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield noted
    server.shutdown()
    server.server_close()


@pytest.fixture
def held(hosts: FakeHosts, google: Google) -> Iterator[Slice]:
    """Two hosts on which a job runs, and whose clock is a file."""
    held, shell = hosts.slice(*ADDRESSES), hosts.shell()
    for host in hosts.hosts.values():
        host.set_environment(
            GCE_METADATA_HOST=f"127.0.0.1:{google.port}",
            ROSELLA_SWITCH_SECONDS=0.05,
            ROSELLA_UPTIME=host.folder / "uptime",
        )
        pass_time(host, 100)
    install(shell, held)
    start(shell, held, a_job())
    all_up(shell, held, a_job())
    yield held
    stop(shell, held, a_job(), grace=0)


@pytest.fixture
def shell(hosts: FakeHosts) -> OpenSsh:
    return hosts.shell()


def pass_time(host: FakeHost, uptime: int) -> None:
    """Set how many seconds ago the machine started."""
    new = host.folder / "uptime.new"
    new.write_text(f"{uptime}.25 9.00\n")
    new.rename(host.folder / "uptime")


def armed(shell: OpenSsh, held: Slice, google: Google, delete: bool = True) -> None:
    arm(shell, held, Switch(60, "project", 30, delete, f"http://127.0.0.1:{google.port}"))
    assert beat(shell, held) == []


def said(host: FakeHost) -> str:
    path = host.rosella / "switch.log"
    return path.read_text() if path.exists() else ""


def test_a_slice_nobody_looks_after_saves_and_deletes_itself(
    hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google
) -> None:
    armed(shell, held, google)
    first, second = hosts.hosts.values()
    for host in (first, second):
        pass_time(host, 100 + 3600)  # not yet
    assert states(shell, held, a_job()) == ["running", "running"] and google.deleted == []
    pass_time(first, 100 + 3601)
    until(lambda: len(google.deleted) >= 2)
    assert states(shell, held, a_job()) == ["ended", "running"]
    assert (first.rosella / "jobs" / "1" / "log").read_text().endswith("saved\n")
    at = "/v2/projects/project/locations/zone"
    requests = [f"{at}/queuedResources/{held.name}?force=true", f"{at}/nodes/{held.name}"]
    assert google.deleted[:2] == requests
    assert "No supervisor for 3601 s" in said(first) and "nodes/rosella-pod-1-zone: 200" in said(first)


def test_it_tries_again_until_it_may(hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google) -> None:
    google.code = 403
    armed(shell, held, google)
    pass_time(hosts.hosts[ADDRESSES[0]], 10_000)
    until(lambda: len(google.deleted) >= 4)
    assert "403" in said(hosts.hosts[ADDRESSES[0]])


def test_a_supervisor_that_comes_back_in_time_keeps_it(
    hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google
) -> None:
    armed(shell, held, google)
    first, second = hosts.hosts.values()
    for uptime in (3000, 6000, 9000):
        pass_time(first, uptime)
        pass_time(second, uptime)
        assert beat(shell, held) == []
    assert states(shell, held, a_job()) == ["running", "running"]
    assert (google.deleted, said(first), said(second)) == ([], "", "")


def test_of_a_slice_that_was_there_before_only_the_job_ends(
    hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google
) -> None:
    armed(shell, held, google, delete=False)
    first = hosts.hosts[ADDRESSES[0]]
    pass_time(first, 10_000)
    until(lambda: states(shell, held, a_job()) == ["ended", "running"])
    until(lambda: not first.processes())
    assert google.deleted == []


def test_it_runs_once_however_often_it_is_told_and_its_token_is_seen_nowhere(
    hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google
) -> None:
    armed(shell, held, google)
    for _ in range(3):
        beat(shell, held)
    first = hosts.hosts[ADDRESSES[0]]
    pass_time(first, 10_000)
    until(lambda: google.deleted)
    assert said(first).count("No supervisor") == 1
    kept = [path for path in first.home.rglob("*") if path.is_file() and TOKEN in path.read_text()]
    assert kept == []


def test_hosts_that_do_not_hear_are_named(
    hosts: FakeHosts, held: Slice, shell: OpenSsh, google: Google
) -> None:
    armed(shell, held, google)
    hosts.hosts[ADDRESSES[1]].fault("refuse", always=True)
    assert beat(shell, held) == [held.hosts[1]]
    hosts.hosts[ADDRESSES[1]].mend()
