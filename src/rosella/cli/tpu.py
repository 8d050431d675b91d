"""`rosella tpu`: one command gets a slice, trains on all its hosts, survives losing it, and gives it back."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella import stopping
from rosella.cli.tpu_plan import Read, check_buckets, confirm, hourly_prices, show_plan
from rosella.cli.tpu_pods import (
    cloud_of,
    crew_of,
    dollars,
    found,
    host_of,
    keys_of,
    paid_by,
    pass_on,
    pod_of,
    say,
    secrets_of,
    shell_of,
    summary,
    version_of,
    wish_of,
)
from rosella.errors import FAILED, INTERRUPTED, MISTAKEN, RosellaError, UserError
from rosella.numbers import counted, percent
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.cloud.crew import OverSsh
    from rosella.cloud.pod import Pod
    from rosella.cloud.slices import Slice
    from rosella.cloud.state import Attempt, Held, PodState, Store
    from rosella.cloud.supervisor import Supervisor

PodFile = Annotated[Path, typer.Argument(help="A pod.yaml; see docs/pod.md.", metavar="POD.YAML")]
PodPlace = Annotated[
    str, typer.Argument(help="A pod.yaml, or where a pod's state is: gs://bucket/pods/NAME.", metavar="POD")
]
Overrides = Annotated[list[str] | None, typer.Argument(help="Changes to it, as key=value.")]
OwnPrices = Annotated[Path | None, typer.Option(help="Your own prices, as YAML; see docs/plan.md.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
OfHost = Annotated[int, typer.Option("--host", min=0, help="Its number.")]
_REPEATED = 2000
"""Bytes of a log that one who attaches is shown again."""


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(
        no_args_is_help=True, help="Train on slices of TPUs that are got, held and given back."
    )
    for verb in (run, up, status, attach, logs, ssh, down, cost):
        verbs.command(verb.__name__)(verb)
    app.add_typer(verbs, name="tpu")


def run(
    pod: PodFile,
    overrides: Overrides = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="What the command trains, for the plan, where that is not a file here."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="Of speech, where there is no export yet.")
    ] = None,
    prices: OwnPrices = None,
    yes: Yes = False,
) -> None:
    """Plan, ask once, get a slice, train on all its hosts, give it back. The same command again goes on."""
    _begin(pod, overrides or [], prices, yes, trains=True, recipe=recipe, hours=hours)


def up(pod: PodFile, overrides: Overrides = None, prices: OwnPrices = None, yes: Yes = False) -> None:
    """Get a slice and run nothing on it, until its budget ends or it is taken down."""
    _begin(pod, overrides or [], prices, yes, trains=False)


def attach(
    pod: PodPlace,
    take: Annotated[bool, typer.Option("--take", help="Also where somebody else looks after it.")] = False,
) -> None:
    """Look after a pod that nobody looks after any more, from this machine."""
    from rosella.cloud.supervisor import wait_for_silence

    store, held = found(pod)
    if not take:
        held = wait_for_silence(store, say, time.time, time.sleep)
    assert held
    if held.state.ended:
        _tell_end(held.state)
        return
    _look_after(pod_of(held.state), held.state, held, store)


def down(pod: PodPlace, yes: Yes = False) -> None:
    """Let the training save, delete everything, and wait until nothing is left."""
    from rosella.cloud.state import PodState

    store, held = found(pod, begun=False)
    state = held.state if held else PodState(wish_of(pod).model_dump(mode="json"))
    if not yes:
        typer.confirm(f"Take {pod_of(state).name} down?", abort=True)
    supervisor = _supervisor(pod_of(state), state, store, with_secrets=False)
    supervisor.take(state, held)
    supervisor.take_down()
    _tell_end(supervisor.run())


def status(
    pod: PodPlace, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False
) -> None:
    """Show what the cloud has of a pod in every zone, what it has cost, and how far the training is."""
    from rosella.cloud.budget import goodput
    from rosella.cloud.decide import zones
    from rosella.cloud.slices import of_pod

    _, held = found(pod, begun=False)
    wish = pod_of(held.state) if held else wish_of(pod)
    asked = zones(wish, held.state) if held else wish.zones
    cloud = cloud_of(wish)
    there = [each for zone in asked for each in of_pod(cloud.slices(zone), wish.name)]
    paid = paid_by(held.state) if held else None
    good = goodput(held.state.training, paid) if held and paid else None
    if as_json:
        told = {"slices": [asdict(each) for each in there], "zones": asked, "goodput": good}
        spent_so_far = asdict(paid) if paid else None
        print(json.dumps({**told, "spent": spent_so_far, "held": asdict(held) if held else None}, indent=1))
        return
    for each in there:
        print(
            f"{each.name} in {each.zone}: {each.state} ({shown(each.said)}), {counted(len(each.hosts), 'host')}"
        )
    if not there:
        print(f"Nothing of {wish.name} is in {', '.join(asked)}.")
    if held:
        _tell(held, good)


def logs(
    pod: PodPlace,
    host: OfHost = 0,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="As it grows, until the command ends.")
    ] = False,
) -> None:
    """Show what the command says on a host."""
    from rosella.cloud import launch

    state, slice, there = host_of(pod, host)
    attempt = state.attempt
    if attempt is None:
        raise UserError(f"Nothing runs on {slice.name}.")
    shell = shell_of(pod_of(state), slice)
    if follow:
        blocks = launch.follow(shell, there, crew_of(pod_of(state), state, with_secrets=False).job(attempt))
    else:
        blocks = shell.stream(there, f"cat {launch.HOME}/jobs/{shlex.quote(attempt.id)}/log")
    for block in blocks:
        pass_on(block)


def ssh(
    pod: PodPlace,
    host: OfHost = 0,
    command: Annotated[str | None, typer.Option(help="What to run there, instead of a shell.")] = None,
) -> None:
    """Open a shell on a host."""
    state, slice, there = host_of(pod, host)
    words = shell_of(pod_of(state), slice).command(there)
    raise typer.Exit(subprocess.call([*words, *([command] if command else [])]))


def cost(pod: PodPlace) -> None:
    """Show every slice with its hours and dollars."""
    from rosella.cloud.budget import goodput, spent

    _, held = found(pod)
    assert held
    state = held.state
    for bill in state.bills:
        each = spent([bill], time.time() if bill.open else bill.until, pod_of(state).orphan_minutes * 60)
        print(f"{bill.name}  {bill.accelerator}  {each.seconds / 3600:8.2f} h{dollars(each.money)}")
    paid = paid_by(state)
    print(
        f"together  {paid.seconds / 3600:.2f} h{dollars(paid.money)}; goodput {percent(goodput(state.training, paid))}"
    )


def _begin(
    file: Path,
    overrides: list[str],
    prices: Path | None,
    yes: bool,
    trains: bool,
    recipe: Path | None = None,
    hours: float | None = None,
) -> None:
    from rosella.cloud.changes import wished
    from rosella.cloud.kept import keep_version
    from rosella.cloud.pod import load_pod
    from rosella.cloud.state import Store
    from rosella.cloud.supervisor import wait_for_silence
    from rosella.training.plan.prices import load_prices

    pod, listed = load_pod(file, overrides), load_prices(prices)
    if trains and not pod.command:
        raise UserError(
            f"{file} has no command: say what every host runs, or get a slice alone by `rosella tpu up`."
        )
    hourly = hourly_prices(pod, listed)
    store = Store(pod.home)
    held = wait_for_silence(store, say, time.time, time.sleep)
    if trains and held and held.state.ended and _done(held.state, pod):
        print(f"Already done; give the pod another name to train anew. {summary(held.state)}")
        return
    version = version_of(pod)
    secrets_of(pod)
    cloud = cloud_of(pod)
    check_buckets(pod, listed, show_plan(pod, listed, recipe, hours) if trains else Read())
    confirm(pod, hourly, yes)
    keep_version(pod.home, version)
    state = wished(held.state if held else None, pod, hourly, version.name, trains)
    if pod.adopt:
        cloud.adopt(pod.adopt, pod.zones[0], pod.name)
    _look_after(pod, state, held, store)


def _look_after(pod: Pod, state: PodState, held: Held | None, store: Store) -> None:
    """Until the end, or until the person goes."""
    from rosella.cloud.slices import SignIn

    attempt = held.state.attempt if held else None
    supervisor = _supervisor(pod, state, store, begun=attempt.id if attempt else None)
    supervisor.take(state, held)
    try:
        while not supervisor.state.ended:
            try:
                supervisor.run()
            except KeyboardInterrupt:
                if supervisor.state.ending or not _wants_it_down():
                    _leave(pod)
                supervisor.take_down()
    except SignIn as trouble:
        raise RosellaError(
            f"{trouble}; then, within {pod.orphan_minutes:g} min: rosella tpu attach {pod.home}"
        ) from trouble
    _tell_end(supervisor.state)
    outcome = supervisor.state.ending.outcome if supervisor.state.ending else "failed"
    code = {"done": 0, "mistaken": MISTAKEN, "asked": INTERRUPTED}.get(outcome, FAILED)
    if code:
        raise typer.Exit(code)


def _wants_it_down() -> bool:
    """Ask what Ctrl-C meant; pressed again it means the end. Where nobody can answer, everything goes on without us."""

    class Again(Exception):
        pass

    def again(_: int) -> None:
        raise Again

    if stopping.exit_code() != INTERRUPTED or not sys.stdin.isatty():
        return False
    with stopping.heeding(again):
        try:
            answer = input(
                "\nTake the pod down (d), or leave it running without this terminal (l)? Ctrl-C again: down. "
            )
        except Again:
            return True
        except EOFError:
            return False
    return answer.strip().lower().startswith("d")


def _leave(pod: Pod) -> None:
    say(
        f"{pod.name} is left as it is, and ends itself after {pod.orphan_minutes:g} min unless you attach: "
        f"rosella tpu attach {pod.home}; to end it now: rosella tpu down {pod.home}"
    )
    raise typer.Exit(stopping.exit_code())


def _supervisor(
    pod: Pod, state: PodState, store: Store, with_secrets: bool = True, begun: str | None = None
) -> Supervisor:
    from rosella.cloud.supervisor import Supervisor

    crew = crew_of(pod, state, with_secrets)
    return Supervisor(pod, cloud_of(pod), crew, store, say, keys=keys_of(pod), runs=_Live(pod, crew, begun))


class _Live:
    """The log of host 0 on standard output, of whatever runs; of what somebody else had `begun` the last part."""

    def __init__(self, pod: Pod, crew: OverSsh, begun: str | None) -> None:
        self._pod, self._crew, self._begun = pod, crew, begun
        self._heard: str | None = None

    def __call__(self, slice: Slice, attempt: Attempt) -> None:
        if attempt.id != self._heard:
            self._heard = attempt.id
            threading.Thread(target=self._follow, args=(slice, attempt), daemon=True).start()

    def _follow(self, slice: Slice, attempt: Attempt) -> None:
        from rosella.cloud import launch

        def again() -> bool:
            time.sleep(5)
            return self._heard == attempt.id

        shell, job = shell_of(self._pod, slice), self._crew.job(attempt)
        try:
            known = self._known(slice, attempt)
            for block in launch.follow(shell, slice.hosts[0], job, known, again):
                pass_on(block)
        except RosellaError as trouble:
            say(f"The log is no longer shown: {trouble}")

    def _known(self, slice: Slice, attempt: Attempt) -> int:
        """The bytes of the log that somebody else was shown."""
        if attempt.id != self._begun:
            return 0
        known = max(0, self._crew.look(slice, attempt)[0].size - _REPEATED)
        if known:
            say(f"The log goes on; all of it: rosella tpu logs {self._pod.home}")
        return known


def _done(state: PodState, pod: Pod) -> bool:
    return bool(state.ending and state.ending.outcome == "done" and state.pod.get("command") == pod.command)


def _tell(held: Held, good: float | None) -> None:
    state = held.state
    print(summary(state))
    if state.training.step is not None:
        print(
            f"Step {state.training.step:,}, {counted(state.preemptions, 'slice')} lost on the way; goodput {percent(good)}."
        )
    if not state.ended:
        print(f"{held.who} looked after it {max(0.0, time.time() - held.written):.0f} s ago.")


def _tell_end(state: PodState) -> None:
    say(f"{state.ending.why if state.ending else ''} {summary(state)}")
