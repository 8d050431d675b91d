"""States of a request and of its node, together, each pair that was ever seen and those that nobody has seen yet."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.tpu_v2.types import Node, QueuedResource, QueuedResourceState

from rosella.cloud.reading import joined, lacks_quota
from rosella.cloud.slices import Slice

ZONE = "us-central2-b"
PARENT = f"projects/p/locations/{ZONE}"
EXTRA = {"new": 99, "unsaid": 0}
REQUESTS: dict[str, int] = {each.name: each.value for each in QueuedResourceState.State} | EXTRA
NODES: dict[str, int] = (
    {each.name: each.value for each in Node.State} | EXTRA | {"unfinished": Node.State.READY.value}
)


def request(state: int, name: str = "a", said: str = "", **more: Any) -> Any:
    spec = {
        "parent": PARENT,
        "node_id": name,
        "node": {"accelerator_type": "v4-32", "labels": {"rosella-pod": "p"}},
    }
    failed = {"failed_data": {"error": {"code": 8, "message": said}}} if said else {}
    made = QueuedResource.pb(
        QueuedResource({"name": f"{PARENT}/queuedResources/{name}", "tpu": {"node_spec": [spec]}, **more})
    )
    made.state.MergeFrom(QueuedResource.pb(QueuedResource({"state": failed})).state)
    made.state.state = state
    return made


def node(state: int, name: str = "a", hosts: int = 4, outside: int = 4, **more: Any) -> Any:
    endpoints = [
        {
            "ip_address": f"10.0.0.{each}",
            "access_config": {"external_ip": f"198.0.0.{each}" if each < outside else ""},
        }
        for each in range(hosts)
    ]
    values = {"name": f"{PARENT}/nodes/{name}", "accelerator_type": "v4-32", "network_endpoints": endpoints}
    made = Node.pb(Node({**values, "network_config": {"enable_external_ips": True}, **more}))
    made.state = state
    return made


def only(requests: list[Any], nodes: list[Any]) -> Slice:
    (found,) = joined(ZONE, requests, nodes)
    return found


@pytest.mark.parametrize(
    ("asked", "there", "state"),
    [
        ("CREATING", "none", "waiting"),
        ("ACCEPTED", "none", "waiting"),
        ("WAITING_FOR_RESOURCES", "none", "waiting"),
        ("new", "none", "waiting"),
        ("unsaid", "none", "waiting"),
        ("PROVISIONING", "none", "provisioning"),
        ("PROVISIONING", "CREATING", "provisioning"),
        ("PROVISIONING", "READY", "provisioning"),
        ("ACTIVE", "unfinished", "provisioning"),
        ("ACTIVE", "READY", "active"),
        ("none", "READY", "active"),
        ("new", "READY", "active"),
        ("none", "unfinished", "provisioning"),
        ("ACTIVE", "none", "lost"),  # a reservation without its machines
        ("ACTIVE", "PREEMPTED", "lost"),
        ("ACTIVE", "TERMINATED", "lost"),
        ("ACTIVE", "STOPPED", "lost"),
        ("ACTIVE", "STOPPING", "lost"),
        ("ACTIVE", "HIDDEN", "lost"),
        ("ACTIVE", "UNKNOWN", "lost"),
        ("ACTIVE", "unsaid", "lost"),
        ("ACTIVE", "new", "lost"),
        ("none", "PREEMPTED", "lost"),
        ("ACTIVE", "REPAIRING", "provisioning"),
        ("ACTIVE", "RESTARTING", "provisioning"),
        ("ACTIVE", "REIMAGING", "provisioning"),
        ("ACTIVE", "STARTING", "provisioning"),
        ("FAILED", "none", "failed"),
        ("FAILED", "READY", "failed"),  # machines without a reservation
        ("SUSPENDING", "PREEMPTED", "suspended"),
        ("SUSPENDED", "none", "suspended"),
        ("SUSPENDED", "PREEMPTED", "suspended"),
        ("DELETING", "none", "deleting"),
        ("DELETING", "READY", "deleting"),
        ("ACTIVE", "DELETING", "deleting"),
        ("none", "DELETING", "deleting"),
    ],
)  # fmt: skip
def test_a_request_and_its_node_have_one_state(asked: str, there: str, state: str) -> None:
    requests = [] if asked == "none" else [request(REQUESTS[asked])]
    nodes = [] if there == "none" else [node(NODES[there], hosts=2 if there == "unfinished" else 4)]
    assert only(requests, nodes).state == state


@pytest.mark.parametrize(
    ("there", "billed"),
    [("none", False), ("CREATING", False), ("PREEMPTED", False), ("TERMINATED", False), ("STOPPED", False), ("READY", True),
     ("DELETING", True), ("UNKNOWN", True), ("new", True), ("REPAIRING", True)],
)  # fmt: skip
def test_where_in_doubt_it_costs_money(there: str, billed: bool) -> None:
    assert only([request(6)], [] if there == "none" else [node(NODES[there])]).billed == billed


def test_hosts_come_in_order_with_both_addresses() -> None:
    hosts = only([request(6)], [node(2)]).hosts
    assert [(host.number, host.internal, host.external) for host in hosts][1] == (1, "10.0.0.1", "198.0.0.1")
    assert [host.address for host in hosts] == [f"198.0.0.{each}" for each in range(4)]


def test_a_slice_is_not_active_before_the_last_of_its_hosts_has_its_address() -> None:
    assert only([request(6)], [node(2, outside=3)]).state == "provisioning"
    inside = only([request(6)], [node(2, outside=0, network_config={"enable_external_ips": False})])
    assert inside.state == "active" and inside.hosts[3].address == "10.0.0.3"


def test_of_two_nodes_with_one_name_the_living_one_counts_whichever_comes_first() -> None:
    old, new = node(11, create_time={"seconds": 9}), node(2, create_time={"seconds": 5})
    assert only([request(6)], [old, new]).state == only([request(6)], [new, old]).state == "active"
    gone, newer = node(11, create_time={"seconds": 5}), node(12, create_time={"seconds": 9})
    assert only([request(6)], [gone, newer]).created == only([request(6)], [newer, gone]).created == 9


def test_what_was_said_is_kept_with_the_error_and_the_ailment() -> None:
    said = only(
        [request(4, said="Quota limit 'X' has been exceeded.")], [node(6, health_description="a chip is ill")]
    )
    assert said.said == "request FAILED, node REPAIRING, Quota limit 'X' has been exceeded., a chip is ill"
    assert said.lacks_quota and not only([request(4, said="There is no more capacity.")], []).lacks_quota


def test_labels_of_the_node_win_over_those_of_its_request() -> None:
    found = only([request(6)], [node(2, labels={"rosella-pod": "q", "more": "1"})])
    assert found.labels == {"rosella-pod": "q", "more": "1"}
    assert only([request(9)], []).labels == {"rosella-pod": "p"}


def test_spot_is_read_of_the_request_or_of_a_node_without_one() -> None:
    assert only([request(9, spot={})], []).spot and not only([request(9)], []).spot
    assert only([], [node(2, scheduling_config={"spot": True})]).spot
    assert only([], [node(2, scheduling_config={"preemptible": True})]).spot


def test_an_ill_node_is_told_from_one_of_which_nothing_is_known() -> None:
    assert [only([], [node(2, health=each)]).healthy for each in (0, 1, 3, 4, 5)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_requests_and_nodes_of_others_are_slices_too() -> None:
    found = joined(ZONE, [request(6, "a"), request(9, "b")], [node(2, "a"), node(2, "c")])
    assert [(each.name, each.state) for each in found] == [("a", "active"), ("b", "waiting"), ("c", "active")]


@pytest.mark.parametrize(
    ("said", "quota"),
    [
        ("Quota limit 'TPUV6EPreemptiblePerProjectPerRegionForTPUAPI' has been exceeded. Limit: 0 in zone z.", True),
        ("Quota 'TPUV4sPreemptiblePodPerProjectPerRegionForTPUAPI' exhausted. Limit 20800 in region us-central2", True),
        ("Quota exceeded for quota metric 'CreateNode requests' and limit 'CreateNode requests per minute'.", False),
        ("There is no more capacity in the zone \"us-central1-b\"", False),
    ],
)  # fmt: skip
def test_a_lack_of_quota_is_told_from_asking_too_often_and_from_a_full_zone(said: str, quota: bool) -> None:
    assert lacks_quota(said) == quota
