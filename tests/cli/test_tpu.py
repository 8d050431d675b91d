"""What a person types and reads, with a cloud over HTTP and hosts that are folders and processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cloud.conftest import ZONE
from cloud.fake_google import FakeGoogle
from cloud.fake_ssh import FakeHosts
from cloud.fake_world import Clock, World, Zone
from cloud.real_hosts import RealHosts
from rosella import cli, stopping
from rosella.cli import tpu
from rosella.cloud import decide as decisions
from rosella.cloud import supervisor as supervision


class Desk:
    """A person with a pod.yaml."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world
        self.pod = folder / "pod.yaml"
        (folder / "rosella_tts-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
        (folder / "key").touch()
        (folder / "key.pub").write_text("ssh-ed25519 AAAA me\n")
        self.write(command="echo step one; sleep 0.3; echo step two")

    def write(self, **keys: object) -> None:
        values = {
            "name": "dutch",
            "project": "project",
            "zones": [ZONE],
            "accelerators": ["v4-16"],
            "budget": {"money": 300},
            "bucket": str(self.folder / "bucket"),
            "source": {"wheel": str(self.folder / "rosella_tts-0.1.0-py3-none-any.whl")},
            "ssh": {"key": str(self.folder / "key")},
        }
        self.pod.write_text(yaml.safe_dump(values | keys))

    def types(self, *words: object) -> int:
        with pytest.raises(SystemExit) as stop:
            cli.main(["tpu", *map(str, words)])
        return int(stop.value.code or 0)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The cloud is sixty times as fast as real ones, and looked at as often."""
    clock, hosts = Clock(speed=60), FakeHosts(tmp_path / "hosts")
    world = World(clock, {ZONE: Zone()})
    monkeypatch.setenv("PATH", f"{hosts.path}:{sys.exec_prefix}/bin:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    RealHosts(world, hosts, {})
    monkeypatch.setattr(supervision, "ROUND", 0.25)
    monkeypatch.setattr(supervision, "LEASE", 2)
    monkeypatch.setattr(decisions, "CONFIRMED", 0.5)
    with FakeGoogle(world) as google:
        for name, value in google.sign_in(tmp_path).items():
            monkeypatch.setenv(name, value)
        yield Desk(tmp_path, world)
    hosts.end()


def test_one_command_trains_and_gives_back_what_it_got(desk, capfd):
    assert desk.types("run", desk.pod, "--yes") == 0
    told = capfd.readouterr()
    assert "v4-16 ($25.76 an hour), spot, in us-central2-b; at most $300.00." in told.out
    assert "step one" in told.out and "step two" in told.out
    assert "There is no plan" in told.err and f"Nothing of dutch is left in {ZONE}." in told.err
    assert desk.world.left() == []

    assert desk.types("run", desk.pod, "--yes") == 0
    assert "Already done" in capfd.readouterr().out and desk.world.most_at_once() == 1

    assert desk.types("status", desk.pod) == 0
    assert f"Nothing of dutch is in {ZONE}." in capfd.readouterr().out
    assert desk.types("status", desk.folder / "bucket/pods/dutch", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (
        told["slices"] == []
        and told["held"]["state"]["ending"]["outcome"] == "done"
        and told["spent"]["money"] > 0
    )

    assert desk.types("cost", desk.pod) == 0
    assert f"rosella-dutch-1-{ZONE}  v4-16" in capfd.readouterr().out


def test_who_says_no_has_asked_for_nothing(desk, capfd, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert desk.types("run", desk.pod) == 1
    assert not any(verb == "create-request" for verb, _, _ in desk.world.asked)
    assert not (desk.folder / "bucket").exists()


def leave_after_the_start(monkeypatch: pytest.MonkeyPatch, desk: Desk, answer: str | None) -> None:
    """Press Ctrl-C when the command runs; then answer, or press it again."""
    start = supervision.started

    def interrupt(state):
        monkeypatch.setattr(supervision, "started", start)
        supervision.Supervisor._keep(interrupt.supervisor, start(state))
        raise KeyboardInterrupt

    made = supervision.Supervisor.__init__

    def init(self, *arguments, **named):
        made(self, *arguments, **named)
        interrupt.supervisor = self

    def reply(_: str) -> str:
        if answer is None:
            os.kill(os.getpid(), signal.SIGINT)
        return answer or ""

    monkeypatch.setattr(supervision.Supervisor, "__init__", init)
    monkeypatch.setattr(supervision, "started", interrupt)
    monkeypatch.setattr(stopping, "exit_code", lambda: 130)
    monkeypatch.setattr("builtins.input", reply)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)


def test_what_is_left_running_is_attached_to_and_taken_down(desk, capfd, monkeypatch):
    desk.write(
        command='trap "echo saved; exit 143" TERM; echo it runs; while :; do sleep 0.05; done',
        grace_seconds=30,
    )
    leave_after_the_start(monkeypatch, desk, "l")
    assert desk.types("run", desk.pod, "--yes") == 130
    assert "is left as it is" in capfd.readouterr().err and desk.world.left()

    assert desk.types("logs", desk.pod, "--host", 1) == 0
    assert capfd.readouterr().out == "it runs\n"
    assert desk.types("ssh", desk.pod, "--host", 1, "--command", "echo here; exit 5") == 5
    assert desk.types("ssh", desk.pod, "--host", 2) == 2
    assert "has 2 hosts, the first is 0" in capfd.readouterr().err
    assert desk.types("status", desk.pod) == 0
    assert "active" in capfd.readouterr().out

    assert desk.types("down", desk.pod, "--yes") == 0
    assert "It is taken down." in capfd.readouterr().err and desk.world.left() == []
    assert desk.types("attach", desk.pod) == 0 and desk.world.most_at_once() == 1


def test_who_attaches_is_shown_the_end_of_a_long_log_and_what_follows(desk, capfd, monkeypatch):
    on = desk.folder / "on"
    desk.write(command=f"seq -w 9999; while [ ! -e {on} ]; do sleep 0.05; done; echo it ends")
    leave_after_the_start(monkeypatch, desk, "l")
    assert desk.types("run", desk.pod, "--yes") == 130
    capfd.readouterr()
    threading.Timer(1, on.touch).start()
    assert desk.types("attach", desk.pod, "--take") == 0
    told = capfd.readouterr()
    lines = told.out.splitlines()
    assert 300 < len(lines) < 500 and lines[-2:] == ["9999", "it ends"] and "rosella tpu logs" in told.err


def test_a_log_is_followed_to_the_end_of_the_command(desk, capfd, monkeypatch):
    on = desk.folder / "on"
    desk.write(command=f"echo it runs; while [ ! -e {on} ]; do sleep 0.05; done; echo it ends")
    leave_after_the_start(monkeypatch, desk, "l")
    assert desk.types("run", desk.pod, "--yes") == 130
    capfd.readouterr()
    threading.Timer(0.5, on.touch).start()
    assert desk.types("logs", desk.pod, "-f", "--host", 1) == 0
    assert capfd.readouterr().out == "it runs\nit ends\n"
    assert desk.types("attach", desk.pod) == 0 and desk.world.left() == []


def test_a_slice_alone_runs_nothing(desk, capfd, monkeypatch):
    """Who got one presses Ctrl-C when it is ready, and takes it down."""

    def heard(sentence: str) -> None:
        if "is ready and runs nothing" in sentence:
            raise KeyboardInterrupt

    monkeypatch.setattr(tpu, "say", heard)
    monkeypatch.setattr(stopping, "exit_code", lambda: 130)
    monkeypatch.setattr("builtins.input", lambda _: "d")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    desk.write()
    assert desk.types("up", desk.pod, "--yes") == 130
    assert "step one" not in capfd.readouterr().out
    assert desk.world.most_at_once() == 1 and desk.world.left() == []


def test_ctrl_c_twice_takes_the_pod_down(desk, capfd, monkeypatch):
    desk.write(command='trap "exit 143" TERM; while :; do sleep 0.05; done', grace_seconds=30)
    leave_after_the_start(monkeypatch, desk, None)
    assert desk.types("run", desk.pod, "--yes") == 130
    assert "It is taken down." in capfd.readouterr().err and desk.world.left() == []


@pytest.mark.parametrize(
    ("keys", "words", "sentence"),
    [
        ({"command": ""}, [], "pod.yaml has no command: say what every host runs"),
        ({}, ["budget={}"], "budget needs money or hours"),
        ({}, ["accelerators=[v7-16]"], "No hardware is called 'v7-16'"),
        ({}, ["zones=[moon]"], "'moon' is no zone"),
        ({"source": {"wheel": "none.whl"}}, [], "none.whl"),
        ({"secrets": ["none"]}, [], "The secret none is not there"),
        ({"ssh": {"key": "none"}}, [], "The public key none.pub is not there"),
    ],
)
def test_mistakes_are_one_sentence_and_ask_for_nothing(desk, capfd, keys, words, sentence):
    desk.write(**{"command": "true"} | keys)
    assert desk.types("run", desk.pod, *words, "--yes") == 2
    told = capfd.readouterr().err
    assert sentence in told and "Traceback" not in told
    assert desk.world.left() == [] and not any(verb == "create-request" for verb, _, _ in desk.world.asked)


def test_a_pod_nobody_began_is_one_sentence(desk, capfd):
    desk.write(command="true")
    for verb in ("attach", "logs", "ssh", "cost"):
        assert desk.types(verb, desk.pod) == 2
        assert "Nobody has begun the pod" in capfd.readouterr().err
    assert desk.types("down", desk.pod, "--yes") == 0
    assert f"Nothing of dutch is left in {ZONE}." in capfd.readouterr().err
