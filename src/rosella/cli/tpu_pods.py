"""A pod by its file or its place in a bucket, its cloud, its hosts, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rosella.errors import UserError
from rosella.numbers import counted, percent
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.cloud.budget import Spent
    from rosella.cloud.crew import OverSsh
    from rosella.cloud.google import Google
    from rosella.cloud.hosts import OpenSsh
    from rosella.cloud.pod import Pod
    from rosella.cloud.slices import Host, Slice
    from rosella.cloud.state import Held, PodState, Store
    from rosella.cloud.version import Version


def found(pod: str, begun: bool = True) -> tuple[Store, Held | None]:
    """The states of a pod by its file or place; a UserError where nobody has begun it, unless that may be."""
    from rosella.cloud.state import Store

    store = Store(wish_of(pod).home if _is_file(pod) else pod)
    held = store.newest()
    if held is None and (begun or not _is_file(pod)):
        raise UserError(f"Nobody has begun the pod {pod}: rosella tpu run pod.yaml")
    return store, held


def _is_file(pod: str) -> bool:
    return pod.endswith((".yaml", ".yml"))


def wish_of(pod: str) -> Pod:
    from rosella.cloud.pod import load_pod

    return load_pod(pod)


def pod_of(state: PodState) -> Pod:
    from rosella.cloud.pod import Pod

    return Pod.model_validate(dict(state.pod))


def host_of(pod: str, number: int) -> tuple[PodState, Slice, Host]:
    """A host of the slice in use."""
    from rosella.cloud.slices import of_pod

    _, held = found(pod)
    assert held
    state, wish = held.state, pod_of(held.state)
    zone = next((each.zone for each in state.requests if each.name == state.chosen), wish.zones[0])
    there = [each for each in of_pod(cloud_of(wish).slices(zone), wish.name) if each.name == state.chosen]
    if not there or not there[0].hosts:
        raise UserError(f"{wish.name} has no slice now: rosella tpu status {pod}")
    if number >= len(there[0].hosts):
        raise UserError(f"{there[0].name} has {counted(len(there[0].hosts), 'host')}, the first is 0.")
    return state, there[0], there[0].hosts[number]


def cloud_of(pod: Pod) -> Google:
    from rosella.cloud.google import connect

    return connect(pod.project)


def shell_of(pod: Pod, slice: Slice) -> OpenSsh:
    import platformdirs

    from rosella.cloud.hosts import OpenSsh

    known = platformdirs.user_cache_path("rosella") / "pods" / slice.name
    known.parent.mkdir(parents=True, exist_ok=True)
    return OpenSsh(pod.ssh.user, known, Path(pod.ssh.key).expanduser() if pod.ssh.key else None)


def keys_of(pod: Pod) -> str:
    """Who is let in, as Google's agent on the hosts reads it."""
    if pod.ssh.key:
        public = Path(f"{pod.ssh.key}.pub").expanduser()
        if not public.is_file():
            raise UserError(
                f"The public key {public} is not there: make a pair by ssh-keygen -f {pod.ssh.key}"
            )
        lines = [public.read_text("utf-8")]
    else:
        asked = subprocess.run(["ssh-add", "-L"], capture_output=True, text=True)
        lines = asked.stdout.splitlines() if asked.returncode == 0 else []
    if not lines:
        raise UserError("No host would let you in: name your SSH key under ssh.key, or give it to ssh-agent.")
    return "\n".join(f"{pod.ssh.user}:{line.strip()}" for line in lines)


def secrets_of(pod: Pod) -> dict[str, bytes]:
    from rosella.cloud.launch import read_secrets

    return read_secrets([Path(each).expanduser() for each in pod.secrets])


def version_of(pod: Pod) -> Version:
    from rosella.cloud.version import version_of_commit, version_of_wheel

    source = pod.source
    if source.wheel:
        return version_of_wheel(Path(source.wheel).expanduser())
    assert source.repository and source.commit
    return version_of_commit(source.repository, source.commit)


def crew_of(pod: Pod, state: PodState, with_secrets: bool) -> OverSsh:
    from rosella.cloud.crew import OverSsh
    from rosella.cloud.kept import kept_version
    from rosella.cloud.version import Version

    version = (
        kept_version(pod.home, state.version) if state.version else Version("none-0-py3-none-any.whl", b"")
    )
    return OverSsh(pod, version, secrets_of(pod) if with_secrets else {}, lambda slice: shell_of(pod, slice))


def summary(state: PodState) -> str:
    from rosella.cloud.budget import goodput

    paid = paid_by(state)
    good = goodput(state.training, paid)
    share = "" if good is None else f", of which {percent(good)} went into steps that are kept"
    return f"{paid.seconds / 3600:.2f} h of slices{dollars(paid.money)}{share}."


def paid_by(state: PodState) -> Spent:
    from rosella.cloud.budget import spent

    return spent(state.bills, time.time(), pod_of(state).orphan_minutes * 60)


def dollars(money: float | None) -> str:
    return "" if money is None else f", ${money:,.2f}"


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {shown(sentence)}", file=sys.stderr, flush=True)


def pass_on(block: bytes) -> None:
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
