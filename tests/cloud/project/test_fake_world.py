"""The stand-in for Google keeps its books: what a test of a pod reads off it can be trusted."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cloud.conftest import ZONE
from cloud.fake_google import METADATA, FakeGoogle
from cloud.fake_world import Clock, FakeNode, Refusal, World, Zone
from rosella.cloud.google import connect
from rosella.cloud.slices import Wish
from support import ROOT, environment


def ask(world: World, name: str, zone: str = ZONE) -> None:
    node = {"acceleratorType": "v4-32", "runtimeVersion": "v2", "labels": {}}
    world.create(zone, name, {"tpu": {"nodeSpec": [{"nodeId": name, "node": node}]}, "spot": {}})


def test_what_happens_while_nobody_looks_happens_at_its_second(world: World, clock: Clock) -> None:
    ask(world, "a")
    clock.advance(36_000)
    assert world.seconds() == 36_000 - 36
    assert world.node("a").created == clock() - 36_000 + 6
    world.preempt("a")
    clock.advance(36_000)
    request = world.request("a")
    assert request and request.state == "SUSPENDED" and world.seconds() == 36_000 - 36


def test_every_second_of_every_node_is_counted_also_while_it_is_being_deleted(
    world: World, clock: Clock
) -> None:
    for name in ("a", "b"):
        ask(world, name)
        clock.advance(100)
    world.delete_request(ZONE, "a", force=True)
    clock.advance(100)
    assert (world.seconds("a"), world.seconds("b"), world.seconds()) == (164 + 20, 164, 348)
    assert world.most_at_once() == 2 and world.left() == ["b"]


def test_a_node_that_ends_as_another_begins_was_never_beside_it(world: World, clock: Clock) -> None:
    world.zones[ZONE] = Zone(capacity=1, provision=0)
    ask(world, "a")
    ask(world, "b")
    clock.advance(60)
    assert [node.name for node in world.ready()] == ["a"]
    world.delete_request(ZONE, "a", force=True)
    clock.advance(60)
    assert [node.name for node in world.ready()] == ["b"] and world.most_at_once() == 1


def test_a_full_zone_grants_in_order_when_it_grows(world: World, clock: Clock) -> None:
    world.zones[ZONE].capacity = 0
    ask(world, "a")
    ask(world, "b")
    clock.advance(3600)
    assert world.nodes == []
    world.grow(ZONE, 1)
    clock.advance(60)
    assert [node.name for node in world.ready()] == ["a"]


def test_who_watches_is_told_when_hosts_come_and_go(world: World, clock: Clock) -> None:
    told: list[tuple[str, str, float]] = []

    def watch(what: str, node: FakeNode) -> None:
        told.append((what, node.name, clock()))

    world.watchers.append(watch)
    world.zones[ZONE].finish = 10
    ask(world, "a")
    clock.advance(40)
    assert world.ready() == []
    clock.advance(6)
    world.preempt("a")
    assert [(what, name) for what, name, _ in told] == [("ready", "a"), ("gone", "a")]


def test_no_two_hosts_ever_have_one_address(world: World, clock: Clock) -> None:
    for number in range(600):
        world.plant(f"n{number}", ZONE)
    addresses = [address for node in world.nodes for pair in node.addresses for address in pair]
    assert len(set(addresses)) == len(addresses) == 600 * 4 * 2


def test_only_by_force_is_what_runs_deleted(world: World, clock: Clock) -> None:
    ask(world, "a")
    clock.advance(60)
    with pytest.raises(Refusal, match="use force"):
        world.delete_request(ZONE, "a", force=False)


def call(address: str, method: str, body: Any = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(address, data, headers, method=method), timeout=30
    ) as answer:
        return json.loads(answer.read())


def test_a_host_deletes_its_own_slice_with_the_token_of_its_machine(
    served: FakeGoogle, world: World, clock: Clock
) -> None:
    ask(world, "a")
    clock.advance(60)
    token = call(f"{served.address}{METADATA}", "GET", Metadata_Flavor="Google")["access_token"]
    url = f"{served.address}/v2/projects/project/locations/{ZONE}/queuedResources/a?force=true"
    answer = call(url, "DELETE", Authorization=f"Bearer {token}")
    assert answer["metadata"]["verb"] == "delete" and not answer["done"]
    clock.advance(60)
    assert world.left() == []


def test_it_can_be_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "cloud.fake_google", str(tmp_path), "--speed", "0", "--zones", ZONE]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "PYTHONPATH": str(ROOT / "tests")},
        cwd=ROOT,
    ) as process:
        try:
            assert process.stdout
            settings = json.loads(process.stdout.readline())
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            world = f"{settings['CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU']}/world"
            google = connect("project")
            google.create(Wish("a", ZONE, "v4-8", "v2", True, {}))
            call(world, "POST", {"do": "advance", "with": [60]})
            assert google.slices(ZONE)[0].state == "active"
            call(world, "POST", {"do": "preempt", "with": ["a"], "named": {"state": "TERMINATED"}})
            call(world, "POST", {"do": "fault", "named": {"verb": "list-nodes", "kind": "lost"}})
            assert google.slices(ZONE)[0].state == "suspended"
            told = call(world, "GET")
            assert told["seconds"] == {"a": 24} and told["left"] == ["a"] and told["most_at_once"] == 1
        finally:
            process.kill()
