"""A cloud that lends TPUs, without machines: requests wait, nodes live and die on a clock that the test holds.

Everything that happens happens at its second of that clock, also when nobody looks for hours. Every second a node lived
is counted, so that a test can ask what was billed, what is left, and what was ever there twice.
"""

from __future__ import annotations

import heapq
import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from cloud.fake_faults import Fault, Verb

Node = dict[str, Any]
DEAD = ("PREEMPTED", "TERMINATED", "STOPPED")
"""States of a node whose machines somebody else has."""
QUOTA = (
    "Quota limit 'TPUV4sPreemptiblePodPerProjectPerZoneForTPUAPI' has been exceeded. Limit: {} in zone {}."
)


class Clock:
    """Seconds since the epoch that run as fast as asked, and jump when told to."""

    def __init__(self, speed: float = 0) -> None:
        self.start, self.real, self.speed = 1_700_000_000.0, time.monotonic(), speed

    def __call__(self) -> float:
        return self.start + (time.monotonic() - self.real) * self.speed

    def advance(self, seconds: float) -> None:
        self.start += seconds


@dataclass
class Zone:
    """Of a zone: how many slices it grants and has, and how many seconds each step takes."""

    quota: int | None = None
    """Requests that may exist at once, suspended and failed ones among them; None for any number."""
    capacity: int | None = None
    """Nodes that can exist at once."""
    accept: float = 1
    wait: float = 5
    provision: float = 30
    finish: float = 0
    """From READY until a node's hosts have addresses."""
    suspend: float = 10
    delete: float = 20


class Refusal(Exception):
    """An answer that is an error of the API."""

    def __init__(self, code: int, status: str, said: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(said)
        self.code, self.status, self.said, self.headers = code, status, said, headers or {}


@dataclass
class FakeRequest:
    name: str
    zone: str
    spec: Node
    spot: bool
    created: float
    state: str | int = "CREATING"
    error: str = ""
    node: str = ""
    """What its node is called."""
    eligible: bool = False


@dataclass
class FakeNode:
    name: str
    zone: str
    spec: Node
    spot: bool
    created: float
    number: int
    request: str = ""
    state: str | int = "CREATING"
    finished: bool = False
    health: str = "HEALTHY"
    lives: list[tuple[float, float | None]] = field(default_factory=list)
    """When it was billed: from, until."""

    @property
    def accelerator(self) -> str:
        return self.spec.get("acceleratorType", "")

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """Of each host: inside, which is this machine, and outside. No two hosts ever share one."""
        block = f"{18 + self.number // 256}.{self.number % 256}"
        return [(f"127.{block}.{each}", f"198.{block}.{each}") for each in range(hosts(self.accelerator))]


@dataclass
class FakeOperation:
    name: str
    zone: str
    verb: str
    target: str
    created: float
    ended: float | None = None


def hosts(accelerator: str) -> int:
    """How many machines a slice has: v4-32 has 4."""
    kind, size = accelerator.split("-")
    if kind in ("v5litepod", "v6e"):
        return max(1, int(size) // 4) if int(size) > 8 else 1
    return max(1, int(size) // 8)


class World:
    """The cloud's side. Every public method first lets happen what the clock says has happened."""

    def __init__(self, clock: Callable[[], float], zones: dict[str, Zone], project: str = "project") -> None:
        self.clock, self.zones, self.project = clock, zones, project
        self.lock = threading.RLock()
        self.faults: list[Fault] = []
        self.chaos: Callable[[Verb], Fault | None] = lambda _: None
        """Asked at every answer that no fault befalls."""
        self.watchers: list[Callable[[Literal["ready", "gone"], FakeNode], None]] = []
        """Told when a node's hosts can be reached, and when no longer."""
        self.asked: list[tuple[Verb, str, str]] = []
        """What was asked: verb, zone, name."""
        self.page_size = 100
        self.between_pages: Callable[[], Any] = lambda: None
        self.hidden: set[str] = set()
        """Names of nodes that no list shows, though they are there."""
        self.requests: list[FakeRequest] = []
        self.nodes: list[FakeNode] = []
        self.past: list[FakeNode] = []
        self.operations: list[FakeOperation] = []
        self.token, self.signed_in = 1, True
        self._stuck: set[str] = set()
        self._zombies: set[str] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count, self._numbers = itertools.count(), itertools.count()
        self._now = clock()

    # What tests do to it

    def settle(self) -> float:
        """Let happen what is due, each thing at its time; the time now."""
        with self.lock:
            now = self.clock()
            while self._events and self._events[0][0] <= now:
                self._now, _, act = heapq.heappop(self._events)
                act()
            self._now = max(now, self._now)
            return self._now

    def next_event(self) -> float | None:
        """When something happens next by itself."""
        return self._events[0][0] if self._events else None

    def preempt(self, name: str, state: str | int = "PREEMPTED", suspended: bool = True) -> None:
        """Take a node away; its request is suspended, or goes on saying ACTIVE."""
        with self._at_now():
            node, request = self.node(name), self.request(name)
            self._stop(node, state)
            if request and suspended:
                request.state = "SUSPENDING"
                self._after(
                    self.zones[node.zone].suspend, lambda: self._move(request, "SUSPENDING", "SUSPENDED")
                )

    def set_node(self, name: str, state: str | int, **more: Any) -> None:
        """A state that is neither: REPAIRING, UNKNOWN, 99, or another health, with the machines where they were."""
        with self._at_now():
            node = self.node(name)
            node.state = state
            for key, value in more.items():
                setattr(node, key, value)

    def set_request(self, name: str, state: str | int, error: str = "") -> None:
        """What a request says from now on, whatever its node is."""
        with self._at_now():
            request = self.request(name)
            assert request, name
            request.state, request.error = state, error

    def vanish(self, name: str) -> None:
        """The node is gone, and its request says what it said."""
        with self._at_now():
            self._remove(self.node(name))

    def outlive(self, name: str) -> None:
        """A zombie: the request can be deleted and its node stays, until the node itself is deleted."""
        self._zombies.add(name)

    def stick(self, name: str) -> None:
        """DELETING of this one never ends, until `unstick`."""
        self._stuck.add(name)

    def unstick(self, name: str) -> None:
        with self._at_now():
            self._stuck.discard(name)
            for each in [*self.requests, *self.nodes]:
                if each.name == name and each.state == "DELETING":
                    self._remove(each)

    def grow(self, zone: str, capacity: int | None) -> None:
        with self._at_now():
            self.zones[zone].capacity = capacity
            self._grant(zone)

    def hide(self, name: str) -> None:
        self.hidden.add(name)

    def ghost(self, name: str) -> None:
        """The list of nodes shows an older node of the same name too, preempted."""
        with self._at_now():
            node = self.node(name)
            old = FakeNode(name, node.zone, node.spec, node.spot, node.created - 3600, next(self._numbers))
            old.state = "PREEMPTED"
            self.nodes.insert(0, old)

    def plant(
        self, name: str, zone: str, accelerator: str = "v4-32", labels: Node | None = None, request: str = ""
    ) -> FakeNode:
        """A node that somebody else made and that runs, by itself or for a request."""
        with self._at_now():
            spec = {"acceleratorType": accelerator, "runtimeVersion": "v2", "labels": labels or {}}
            node = FakeNode(name, zone, spec, False, self._now, next(self._numbers), request)
            self.nodes.append(node)
            if request:
                self.requests.append(FakeRequest(request, zone, spec, False, self._now, "ACTIVE", node=name))
            self._start(node)
            self._finish(node)
            return node

    def expire(self) -> None:
        """The token is good no longer; whoever asks gets another."""
        self.token += 1

    def sign_out(self) -> None:
        self.token, self.signed_in = self.token + 1, False

    # What tests ask it

    def request(self, name: str) -> FakeRequest | None:
        self.settle()
        return next((each for each in self.requests if each.name == name), None)

    def node(self, name: str) -> FakeNode:
        """The newest of its name."""
        self.settle()
        return next(each for each in reversed(self.nodes) if each.name == name)

    def ready(self) -> list[FakeNode]:
        """Whose hosts can be reached now."""
        self.settle()
        return [each for each in self.nodes if each.state == "READY" and each.finished]

    def left(self) -> list[str]:
        """Of everything that exists, the names: what a pod that has ended must not leave behind."""
        self.settle()
        return sorted({each.name for each in [*self.requests, *self.nodes]})

    def seconds(self, name: str | None = None) -> float:
        """How long nodes lived and were billed, of one name or all together."""
        now = self.settle()
        nodes = [each for each in [*self.past, *self.nodes] if name in (None, each.name)]
        return sum((now if until is None else until) - since for each in nodes for since, until in each.lives)

    def most_at_once(self) -> int:
        """How many nodes were ever billed at the same moment."""
        now = self.settle()
        lives = [life for each in [*self.past, *self.nodes] for life in each.lives]
        steps = sorted(
            step for since, until in lives for step in ((since, 1), (now if until is None else until, -1))
        )
        return max(itertools.accumulate((step for _, step in steps), initial=0))

    def fault(self, verb: Verb, zone: str, name: str) -> Fault | None:
        """What befalls this answer."""
        self.asked.append((verb, zone, name))
        return next((each for each in self.faults if each.befalls(verb, zone, name)), None) or self.chaos(
            verb
        )

    # What the API does

    def create(self, zone: str, name: str, body: Node, late: float = 0) -> FakeOperation:
        self.settle()
        self._check(zone, name, body)
        operation = self._operation(zone, "create", f"queuedResources/{name}", late)
        if late:
            self._after(late, lambda: self._begin(zone, name, body))
        else:
            self._begin(zone, name, body)
        return operation

    def delete_request(self, zone: str, name: str, force: bool) -> FakeOperation:
        self.settle()
        request = self._found(self.requests, zone, name, "queuedResources")
        nodes = [each for each in self.nodes if each.request == name and each.zone == zone]
        if request.state == "DELETING":
            raise Refusal(400, "FAILED_PRECONDITION", f"Queued resource {name} is already being deleted.")
        if not force and (nodes or request.state not in ("ACCEPTED", "FAILED", "SUSPENDED")):
            raise Refusal(400, "FAILED_PRECONDITION", f"Queued resource {name} has nodes, use force.")
        if name not in self._zombies:
            for node in nodes:
                self._delete(node)
        self._delete(request)
        return self._operation(zone, "delete", f"queuedResources/{name}", self.zones[zone].delete)

    def delete_node(self, zone: str, name: str) -> FakeOperation:
        self.settle()
        node = self._found(self.nodes, zone, name, "nodes")
        if node.state == "DELETING":
            raise Refusal(400, "FAILED_PRECONDITION", f"Node {name} is already being deleted.")
        self._delete(node)
        request = self.request(name)
        if request and request.state == "ACTIVE":
            request.state = "SUSPENDING"
            self._after(self.zones[zone].suspend, lambda: self._move(request, "SUSPENDING", "SUSPENDED"))
        return self._operation(zone, "delete", f"nodes/{name}", self.zones[zone].delete)

    def get(self, kind: Literal["queuedResources", "nodes"], zone: str, name: str) -> FakeRequest | FakeNode:
        return self._found(self.requests if kind == "queuedResources" else self.nodes, zone, name, kind)

    def label(self, zone: str, name: str, labels: Node) -> FakeOperation:
        self._found(self.nodes, zone, name, "nodes").spec["labels"] = labels
        return self._operation(zone, "update", f"nodes/{name}", 0)

    def _check(self, zone: str, name: str, body: Node) -> None:
        spec = body["tpu"]["nodeSpec"][0]
        if not re.fullmatch(r"[A-Za-z0-9_.~+%-]+", name):
            raise Refusal(400, "INVALID_ARGUMENT", f"Invalid queued resource id {name!r}.")
        if "guaranteed" in body:
            raise Refusal(400, "INVALID_ARGUMENT", "The project has no reservation.")
        if not re.fullmatch(r"v\w+-\d+", spec["node"].get("acceleratorType", "")):
            raise Refusal(400, "INVALID_ARGUMENT", "Accelerator type is not available in the zone.")
        here = [each for each in self.requests if each.zone == zone]
        if any(each.name == name for each in [*here, *self.nodes]):
            raise Refusal(409, "ALREADY_EXISTS", f"Resource {name!r} already exists.")
        quota = self.zones[zone].quota
        if quota is not None and len(here) >= quota:
            raise Refusal(429, "RESOURCE_EXHAUSTED", QUOTA.format(quota, zone))

    def _begin(self, zone: str, name: str, body: Node) -> None:
        if self.request(name):
            return
        spec = body["tpu"]["nodeSpec"][0]
        request = FakeRequest(name, zone, spec["node"], "spot" in body, self._now, node=spec["nodeId"])
        self.requests.append(request)
        pace = self.zones[zone]
        self._after(pace.accept, lambda: self._move(request, "CREATING", "WAITING_FOR_RESOURCES"))
        self._after(pace.accept + pace.wait, lambda: self._become_eligible(request))

    def _become_eligible(self, request: FakeRequest) -> None:
        request.eligible = True
        self._grant(request.zone)

    def _grant(self, zone: str) -> None:
        """Give what is free to those that wait, in order."""
        pace = self.zones[zone]
        for request in self.requests:
            if request.zone != zone or request.state != "WAITING_FOR_RESOURCES" or not request.eligible:
                continue
            taken = sum(each.zone == zone and each.state not in DEAD for each in self.nodes)
            if pace.capacity is not None and taken >= pace.capacity:
                return
            request.state = "PROVISIONING"
            node = FakeNode(request.node, zone, request.spec, request.spot, self._now, next(self._numbers))
            node.request = request.name
            self.nodes.append(node)
            self._after(pace.provision, lambda node=node, request=request: self._provide(node, request))

    def _provide(self, node: FakeNode, request: FakeRequest) -> None:
        if node.state == "CREATING" and node in self.nodes:
            self._start(node)
            self._move(request, "PROVISIONING", "ACTIVE")
            self._after(self.zones[node.zone].finish, lambda: self._finish(node))

    def _finish(self, node: FakeNode) -> None:
        if node.state == "READY":
            node.finished = True
            self._tell("ready", node)

    def _start(self, node: FakeNode) -> None:
        node.state = "READY"
        node.lives.append((self._now, None))

    def _stop(self, node: FakeNode, state: str | int) -> None:
        """The machines of a node stop, and with them its bill."""
        if node.lives and node.lives[-1][1] is None:
            node.lives[-1] = (node.lives[-1][0], self._now)
            if node.finished:
                self._tell("gone", node)
        node.state = state

    def _delete(self, each: FakeRequest | FakeNode) -> None:
        each.state = "DELETING"
        if each.name not in self._stuck:
            self._after(self.zones[each.zone].delete, lambda: self._remove(each))

    def _remove(self, each: FakeRequest | FakeNode) -> None:
        if isinstance(each, FakeRequest) and each in self.requests:
            self.requests.remove(each)
        elif isinstance(each, FakeNode) and each in self.nodes:
            self._stop(each, each.state)
            self.nodes.remove(each)
            self.past.append(each)
            self._grant(each.zone)

    def _move(self, request: FakeRequest, before: str, after: str) -> None:
        if request.state == before:
            request.state = after

    def _operation(self, zone: str, verb: str, target: str, takes: float) -> FakeOperation:
        path = f"projects/{self.project}/locations/{zone}"
        operation = FakeOperation(
            f"{path}/operations/operation-{next(self._count)}", zone, verb, f"{path}/{target}", self._now
        )
        self.operations.append(operation)
        self._after(takes, lambda: setattr(operation, "ended", self._now))
        return operation

    def _found(self, among: list[Any], zone: str, name: str, kind: str) -> Any:
        for each in reversed(among):
            if (each.zone, each.name) == (zone, name):
                return each
        raise Refusal(
            404,
            "NOT_FOUND",
            f"Resource 'projects/{self.project}/locations/{zone}/{kind}/{name}' was not found",
        )

    def _tell(self, what: Literal["ready", "gone"], node: FakeNode) -> None:
        for watcher in self.watchers:
            watcher(what, node)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds:
            heapq.heappush(self._events, (self._now + seconds, next(self._count), act))
        else:
            act()

    def _at_now(self) -> threading.RLock:
        self.settle()
        return self.lock
