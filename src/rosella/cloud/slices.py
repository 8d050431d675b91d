"""What a cloud lends: slices of TPU hosts, how they are named, and what may go wrong when asking for one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rosella.errors import RosellaError, UserError

POD_LABEL = "rosella-pod"
"""Of every slice of a pod; its value is the pod's name."""
ADOPTED_LABEL = "rosella-adopted"
"""Of a slice that was there before the pod, and stays when the pod ends."""

LATE = 900.0
"""Seconds after which a *create* that was never answered brings nothing any more."""

_CORES, _CHIPS = {"v2", "v3", "v4", "v5p"}, {"v5litepod", "v6e"}

State = Literal["waiting", "provisioning", "active", "failed", "suspended", "deleting", "lost"]
"""Of a queued resource and its node together.

- waiting: in the queue
- provisioning: on its way, or back on its way (repaired, restarted): not to be used now, perhaps soon; may be billed
- active: every host has an address
- failed, suspended: will never bring a slice, and eats quota until it is deleted
- deleting: neither here nor gone; nothing to do but wait
- lost: preempted, terminated, stopped, unknown, or the node missing under a request that says ACTIVE
"""


@dataclass(frozen=True)
class Host:
    """A machine of a slice; `number` is its worker number."""

    number: int
    internal: str
    external: str | None = None

    @property
    def address(self) -> str:
        """Where it is reached from outside where it can be, else from inside."""
        return self.external or self.internal


@dataclass(frozen=True)
class Wish:
    """A slice to be asked for. `startup` is a script every host runs as root when it starts."""

    name: str
    zone: str
    accelerator: str
    """As the cloud names it: v4-32."""
    runtime: str
    """The image of the hosts: tpu-ubuntu2204-base."""
    spot: bool
    labels: Mapping[str, str]
    startup: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What every host may read of itself; `ssh-keys` lets people in. Never a secret: the console shows it."""
    network: str = ""
    subnetwork: str = ""
    external_addresses: bool = True
    service_account: str = ""


@dataclass(frozen=True)
class Slice:
    """A slice as the cloud told of it now."""

    name: str
    zone: str
    state: State
    said: str = ""
    """The cloud's own words: the states of request and node, and the text of an error."""
    hosts: tuple[Host, ...] = ()
    """In order of their numbers; of a slice that is not active perhaps not all."""
    created: float | None = None
    """Unix seconds, by the cloud's clock: of the node where there is one, else of the request."""
    accelerator: str = ""
    spot: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    healthy: bool = True
    billed: bool = False
    """Whether it costs money now, as far as can be told: where in doubt, it does."""
    lacks_quota: bool = False
    """Of a failed one: the zone grants none of this kind."""

    @property
    def adopted(self) -> bool:
        return ADOPTED_LABEL in self.labels


class NoQuota(RosellaError):
    """The zone grants no slice of this kind to the project, or no more than it has."""

    def __init__(self, zone: str, said: str) -> None:
        super().__init__(f"{zone} has no quota for this slice ({said}); other zones are asked.")
        self.zone = zone


class Unreachable(RosellaError):
    """The cloud gave no answer that counts; what was asked may have happened or not."""


class Refused(UserError):
    """The cloud will never do what was asked as it was asked."""


class SignIn(RosellaError):
    """Nobody is signed in, or no longer."""


class Cloud(Protocol):
    """Every method may raise Unreachable and SignIn, and is as well called twice as once."""

    def slices(self, zone: str) -> list[Slice]:
        """All of the project in a zone, whoever made them; a node without a request and a request without a node too."""
        ...

    def create(self, wish: Wish) -> None:
        """Ask for a slice; one that was asked for before by this name is the same. Raises NoQuota and Refused."""
        ...

    def delete(self, name: str, zone: str) -> None:
        """Ask for the end of a request and its node; that none is there is success. Raises Refused."""
        ...

    def late(self, name: str, zone: str, asked: float) -> bool:
        """Whether a *create* asked for at `asked`, unix seconds, may still bring a slice that is not listed."""
        ...

    def adopt(self, name: str, zone: str, pod: str) -> Slice:
        """Label a node that is there as the pod's. Raises Refused where it is not, or is another pod's."""
        ...


def name_of(pod: str, generation: int, zone: str) -> str:
    """Of the slice a pod asks for: no two requests of a pod ever share one."""
    return f"rosella-{pod}-{generation}-{zone}"


def generation_of(name: str, pod: str, zone: str) -> int | None:
    """The inverse of `name_of`; None of any other name."""
    match = re.fullmatch(rf"rosella-{re.escape(pod)}-(\d+)-{re.escape(zone)}", name)
    return int(match[1]) if match else None


def host_count(accelerator: str) -> int | None:
    """How many machines a slice has: v4-32 has 4. None of a kind that came later.

    Up to v5p the number in the name counts cores, 8 to a machine; then chips, 4 to a machine or all of up to 8 in one.
    """
    match = re.fullmatch(r"(v\w+)-(\d+)", accelerator)
    if match is None or match[1] not in _CORES | _CHIPS:
        return None
    size = int(match[2])
    if match[1] in _CORES:
        return max(1, size // 8)
    return 1 if size <= 8 else size // 4


def of_pod(slices: Iterable[Slice], pod: str) -> list[Slice]:
    """Those that bear the pod's label, or none and a name of its own: not every list tells the labels of a request."""

    def is_ours(each: Slice) -> bool:
        owner = each.labels.get(POD_LABEL)
        return owner == pod or (owner is None and generation_of(each.name, pod, each.zone) is not None)

    return [each for each in slices if is_ours(each)]
