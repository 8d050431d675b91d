"""`pod.yaml`: what a person wishes a pod to be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from rosella.recipes import Part, load_recipe

Positive = Annotated[float, Field(gt=0)]

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_RUNTIMES = {
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v5e": "v2-alpha-tpuv5-lite",
    "v5p": "v2-alpha-tpuv5",
    "v6e": "v2-alpha-tpuv6e",
}
FAREWELL = 180.0
"""Seconds that are kept back for a slice to be deleted in, and paid for, once its training has saved."""

_RUNTIME = "tpu-ubuntu2204-base"
_BRAND = {"v5e": "v5litepod"}


class Budget(Part):
    """The pod ends before it has cost more than the least of these; the slice's last minutes are counted in."""

    money: Positive | None = None
    """US dollars, by the prices the pod began with."""
    hours: Positive | None = None
    """Of slices that were billed, all together."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.money is None and self.hours is None:
            raise ValueError(
                "budget needs money or hours: without a limit nothing would end a pod that is forgotten"
            )
        return self


class Source(Part):
    """The version of Rosella that every host gets: a wheel, or a commit of a repository."""

    wheel: str | None = None
    """A wheel on this machine; it is kept in the bucket, so that any machine can go on."""
    repository: str | None = None
    """Where Git finds it from this machine, which makes a wheel of it."""
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    """All 40 digits."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.wheel is None) == (self.repository is None) or (self.repository is None) != (
            self.commit is None
        ):
            raise ValueError("source needs either a wheel, or a repository and a commit")
        return self


class SSH(Part):
    """How the hosts are reached."""

    user: Annotated[str, Field(pattern="^[a-z_][a-z0-9_-]*$")] = "rosella"
    """Made on the hosts by Google's agent, from the public key."""
    key: str | None = None
    """The private key, whose public half lies beside it as `.pub`; unset, those of the agent are tried."""
    internal: bool = False
    """Whether hosts are reached by their internal addresses, and get no others."""


class Pod(Part):
    """What a person wishes a pod to be."""

    name: Annotated[str, Field(pattern="^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$")]
    """In the names of its slices, in their label, and where its state is kept; small letters, digits, dashes."""
    project: str
    """Google's."""
    zones: Annotated[list[str], Field(min_length=1)]
    """Asked all at once; of those that grant a slice at the same time the first is taken."""
    accelerators: Annotated[list[str], Field(min_length=1)]
    """Such as v4-32: the first is wished for, the next is asked for when it was not had within `patience_minutes`."""
    runtime: str | None = None
    """The image of the hosts; by default the one for the accelerator."""
    spot: bool = True
    """Cheaper, and taken away at any time; false is on demand."""
    budget: Budget
    """After which the slice is given back."""
    bucket: str
    """Where state, wheel and run are kept: `gs://…`, or a folder."""
    any_region: bool = False
    """Take a bucket that lies in another region than the zones, and pay for what leaves it."""
    source: Source
    """Which Rosella."""
    command: str = ""
    """What every host runs, by `sh`; a run of `rosella train` goes on by itself. Only `up` does without."""
    run: str | None = None
    """The run's directory as host 0 sees it, for live metrics and goodput."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Of the command. Nothing secret."""
    coordinator: Annotated[int, Field(gt=0, lt=65536)] | None = None
    """A port of host 0, where hosts do not find each other by themselves, as those of a TPU slice do."""
    secrets: tuple[str, ...] = ()
    """Files that travel to every host, readable by the user alone."""
    patience_minutes: Positive = 30
    """How long a request may wait before the next of `accelerators` is asked for."""
    orphan_minutes: Positive = 60
    """A slice nobody looked after for so long stops its training and deletes itself."""
    grace_seconds: Positive = 300
    """What a training gets to save when it is told to stop."""
    adopt: str | None = None
    """A TPU VM that is there already, in the first zone; it is labelled, and stays when the pod ends."""
    service_account: str = ""
    """Of the hosts; it must be allowed to delete the slice, and to use the bucket. By default the project's."""
    network: str = ""
    """By default the project's."""
    subnetwork: str = ""
    """By default the network's."""
    ssh: SSH = SSH()
    """How the hosts are reached."""

    @field_validator("zones")
    @classmethod
    def _are_zones(cls, zones: list[str]) -> list[str]:
        for zone in zones:
            if not re.fullmatch(r"[a-z]+-[a-z]+\d+-[a-z]", zone):
                raise ValueError(f"zones: {zone!r} is no zone, which is written like us-central2-b")
        return list(dict.fromkeys(zones))

    @field_validator("accelerators")
    @classmethod
    def _by_googles_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not re.fullmatch(r"v\d[a-z]*-\d+", name):
                raise ValueError(f"accelerators: {name!r} is none, which is written like v4-32")
        return [_branded(name) for name in names]

    @field_validator("environment")
    @classmethod
    def _tells_no_secret(cls, environment: dict[str, str]) -> dict[str, str]:
        for name in environment:
            if _SECRET.search(name):
                raise ValueError(
                    f"environment: {name} sounds like a secret; put it into a file and name that under secrets"
                )
        return environment

    @model_validator(mode="after")
    def _budget_is_worth_it(self) -> Self:
        least = (self.grace_seconds + FAREWELL) / 3600
        if self.budget.hours is not None and self.budget.hours <= least:
            raise ValueError(
                f"budget.hours must be more than the {least:.2f} h that saving and deleting may take"
            )
        return self

    @property
    def home(self) -> str:
        """Where the pod's state and wheel are kept."""
        return f"{self.bucket.rstrip('/')}/pods/{self.name}"

    def image(self, accelerator: str) -> str:
        """What the hosts of an accelerator run."""
        return self.runtime or _RUNTIMES.get(accelerator.partition("-")[0], _RUNTIME)


def load_pod(path: str | Path, overrides: Sequence[str] = ()) -> Pod:
    """Read a `pod.yaml`, with `key=value` changes; UserError with one sentence that names the key and what it may be."""
    return load_recipe(Pod, path, overrides)


def _branded(accelerator: str) -> str:
    """By Google's name of the kind: what everybody calls v5e is a v5litepod there."""
    kind, _, size = accelerator.partition("-")
    return f"{_BRAND.get(kind, kind)}-{size}"
