"""What Google says of its TPUs, as slices: a queued resource and its node are one.

The messages are protocol buffers of `google.cloud.tpu_v2`, whose states are numbers: those that came later than the
library have no name there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rosella.cloud.slices import Host, Slice, State, host_count

_REQUEST = (
    "unknown", "CREATING", "ACCEPTED", "PROVISIONING", "FAILED", "DELETING", "ACTIVE", "SUSPENDING", "SUSPENDED",
    "WAITING_FOR_RESOURCES",
)  # fmt: skip
_NODE = (
    "unknown", "CREATING", "READY", "RESTARTING", "REIMAGING", "DELETING", "REPAIRING", "unknown", "STOPPED", "STOPPING",
    "STARTING", "PREEMPTED", "TERMINATED", "HIDING", "HIDDEN", "UNHIDING", "UNKNOWN",
)  # fmt: skip
_DELETING = 5
"""Of requests and nodes alike."""
_QUEUED = {"CREATING", "ACCEPTED", "PROVISIONING", "WAITING_FOR_RESOURCES"}
_COMING = {"CREATING", "RESTARTING", "REIMAGING", "REPAIRING", "STARTING", "UNHIDING"}
_FREE = {"none", "CREATING", "STOPPED", "PREEMPTED", "TERMINATED"}
_HEALTHY = {0, 1}
"""Nothing known, and HEALTHY."""


def joined(zone: str, requests: Iterable[Any], nodes: Iterable[Any]) -> list[Slice]:
    """The slices of a zone, named as their nodes; of several nodes of one name the one that lives, or else the newest."""
    wanted = {_node_name(each): each for each in requests}
    there: dict[str, Any] = {}
    for node in nodes:
        name = last(node.name)
        there[name] = max(there.get(name, node), node, key=_worth)
    return [_slice(zone, name, wanted.get(name), there.get(name)) for name in sorted({*wanted, *there})]


def without_node(requests: Iterable[Any], nodes: Iterable[Any]) -> list[str]:
    """Names of nodes that requests say are there, and that are not listed."""
    there = {last(node.name) for node in nodes}
    return [
        _node_name(each)
        for each in requests
        if _request_state(each) == "ACTIVE" and _node_name(each) not in there
    ]


def last(path: str) -> str:
    """The name at the end of projects/P/locations/Z/nodes/NAME."""
    return path.rsplit("/", 1)[-1]


def is_ending(message: Any) -> bool:
    """Whether a request or node is being deleted, or gone."""
    if message is None:
        return True
    return (message.state if isinstance(message.state, int) else message.state.state) == _DELETING


def lacks_quota(said: str) -> bool:
    """Whether an error is about how many chips a project may have, and not about how often it may ask."""
    return "quota" in said.lower() and "per minute" not in said.lower()


def _slice(zone: str, name: str, request: Any, node: Any) -> Slice:
    request_state, node_state = _request_state(request), _node_state(node)
    spec = _spec(request) if node is None else node
    error = request.state.failed_data.error.message if request is not None else ""
    ill = node.health_description if node is not None else ""
    words = [f"request {request_state}", f"node {node_state}", error, ill]
    return Slice(
        name=name,
        zone=zone,
        state=_state(request_state, node_state, _finished(node)),
        said=", ".join(word for word in words if word),
        hosts=_hosts(node),
        created=_created(request if node is None else node),
        accelerator=spec.accelerator_type if spec else "",
        spot=_spot(request, node),
        labels={
            key: value
            for each in (_spec(request), node)
            if each is not None
            for key, value in each.labels.items()
        },
        healthy=node is None or node.health in _HEALTHY,
        billed=node_state not in _FREE,
        lacks_quota=request_state == "FAILED" and lacks_quota(error),
    )


def _state(request: str, node: str, finished: bool) -> State:
    if request == "DELETING":
        return "deleting"
    if request == "FAILED":
        return "failed"
    if request in ("SUSPENDING", "SUSPENDED"):
        return "suspended"
    if node == "none":
        return "lost" if request == "ACTIVE" else "provisioning" if request == "PROVISIONING" else "waiting"
    if node == "DELETING":
        return "deleting"
    if node == "READY":
        return "active" if finished and request not in _QUEUED else "provisioning"
    return "provisioning" if node in _COMING else "lost"


def _request_state(request: Any) -> str:
    return "none" if request is None else _name(_REQUEST, request.state.state)


def _node_state(node: Any) -> str:
    return "none" if node is None else _name(_NODE, node.state)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def _worth(node: Any) -> tuple[bool, float]:
    return _state("none", _node_state(node), finished=True) != "lost", node.create_time.seconds


def _node_name(request: Any) -> str:
    spec = request.tpu.node_spec
    return (spec[0].node_id if spec else "") or last(request.name)


def _spec(request: Any) -> Any:
    return request.tpu.node_spec[0].node if request is not None and request.tpu.node_spec else None


def _spot(request: Any, node: Any) -> bool:
    if request is not None:
        return request.WhichOneof("tier") == "spot"
    return node.scheduling_config.spot or node.scheduling_config.preemptible


def _created(message: Any) -> float | None:
    time = message.create_time
    return time.seconds + time.nanos / 1e9 if message.HasField("create_time") else None


def _hosts(node: Any) -> tuple[Host, ...]:
    endpoints = node.network_endpoints if node is not None else ()
    return tuple(
        Host(number, each.ip_address, each.access_config.external_ip or None)
        for number, each in enumerate(endpoints)
        if each.ip_address
    )


def _finished(node: Any) -> bool:
    """Whether all hosts have the addresses they will have: a node is listed as READY before that."""
    hosts = _hosts(node)
    if not hosts or len(hosts) < (host_count(node.accelerator_type) or 1):
        return False
    return not node.network_config.enable_external_ips or all(host.external for host in hosts)
