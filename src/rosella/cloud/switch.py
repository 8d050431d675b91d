"""What ends a slice nobody looks after any more: the dead man's switch on each of its hosts (`switch.sh`)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rosella.cloud.asking import ask, leave, leave_script, resource, settled
from rosella.cloud.hosts import Shell, on_all
from rosella.cloud.slices import Host, Slice
from rosella.errors import RosellaError


@dataclass(frozen=True)
class Switch:
    """A dead man's switch: a slice that hears nothing of its supervisor for so long stops its job and deletes itself."""

    minutes: float
    project: str
    grace: float
    """Seconds a job has to save."""
    delete: bool = True
    """False for a slice that was there before: its job is stopped, no more."""
    endpoint: str = "https://tpu.googleapis.com"


def arm(shell: Shell, held: Slice, switch: Switch) -> None:
    """Leave the dead man's switch on every host; it is on from the first `beat`."""
    script, values = resource("switch.sh"), settings(switch, held).encode()

    def place(host: Host) -> None:
        leave_script(shell, host)
        leave(shell, host, script, "switch.sh")
        leave(shell, host, values, "switch")

    settled(on_all(held.hosts, place))


def beat(shell: Shell, held: Slice) -> list[Host]:
    """Tell every host that its supervisor lives; returns those that did not hear it."""
    heard = on_all(held.hosts, lambda host: ask(shell, host, "beat"))
    return [host for host, each in zip(held.hosts, heard, strict=True) if isinstance(each, RosellaError)]


def settings(switch: Switch, held: Slice) -> str:
    """What the script reads at every look."""
    at = f"{switch.endpoint}/v2/projects/{switch.project}/locations/{held.zone}"
    # The request first, with its node; then a node that no request holds any more.
    urls = f"{at}/queuedResources/{held.name}?force=true {at}/nodes/{held.name}" if switch.delete else ""
    return f"orphaned={int(switch.minutes * 60)}\ngrace={int(switch.grace)}\nurls={shlex.quote(urls)}\n"
