"""How what became of an act, or was found out, changes the state of a pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rosella.cloud.pod import Pod
from rosella.cloud.state import Ending, Outcome, PodState, Request

LONGEST_WAIT = 900.0
"""Seconds between two slices that are asked for, or two tries, at most."""


def end(state: PodState, outcome: Outcome, why: str, now: float) -> PodState:
    """The pod is to end; one that ends already does so for the reason it has."""
    return state if state.ending else replace(state, ending=Ending(outcome, why, now))


def resume(state: PodState) -> PodState:
    """A pod that ended is wished for again; what it has cost stays."""
    return replace(
        state, ending=None, tries=0, losses=0, again=0.0, closed={}, size=0, size_since=None, told=()
    )


def prepared(state: PodState) -> PodState:
    """Every host of the chosen slice has what it needs, and ends the slice itself when nobody looks after it."""
    bills = tuple(replace(bill, switched=True) if bill.name == state.chosen else bill for bill in state.bills)
    return replace(state, prepared=state.chosen, bills=bills, unwell=None)


def unprepared(state: PodState) -> PodState:
    """A host that could not start the command is looked at from the ground up."""
    return replace(state, prepared=None, attempt=None)


def started(state: PodState) -> PodState:
    """All hosts have begun."""
    return replace(state, attempt=replace(state.attempt, begun=True) if state.attempt else None, unwell=None)


def stopped(state: PodState) -> PodState:
    """The command was told to stop and has had its time."""
    return replace(state, ending=replace(state.ending, stopped=True)) if state.ending else state


def refused(state: PodState, request: Request, now: float, until: float) -> PodState:
    """A zone does not grant a kind of slice: it is left out `until` then, unless what is left there may be the reason."""
    doomed = doom(state, [request.name], now)
    if any(each.zone == request.zone and each.listed for each in state.requests):
        return lose_one(doomed, now)
    return replace(doomed, closed={**state.closed, kind_of(request.zone, request.accelerator): until})


def denied(state: PodState, request: Request, until: float) -> PodState:
    """A zone never gives this kind of slice: what was asked for there is not there, and does not come."""
    others = tuple(each for each in state.requests if each.name != request.name)
    return replace(
        state, requests=others, closed={**state.closed, kind_of(request.zone, request.accelerator): until}
    )


def given_up(state: PodState, now: float) -> PodState:
    """The chosen slice is of no use: another is asked for."""
    assert state.chosen
    left = doom(state, [state.chosen], now)
    unused = replace(left, chosen=None, attempt=None, prepared=None, unwell=None)
    return lose_one(replace(unused, size=0, size_since=None), now)


def doom(state: PodState, names: Iterable[str], now: float) -> PodState:
    """Requests by these names are wanted no more."""
    doomed = set(names)
    requests = (
        replace(each, doomed=now) if each.name in doomed and each.wanted else each for each in state.requests
    )
    return replace(state, requests=tuple(requests))


def lose_one(state: PodState, now: float) -> PodState:
    """The next slice is asked for after a while, which grows."""
    losses = state.losses + 1
    return replace(state, losses=losses, again=now + backoff(losses))


def backoff(times: int) -> float:
    """At once, then after 1, 2, 4, … minutes."""
    return 0.0 if times <= 1 else min(LONGEST_WAIT, 60.0 * 2 ** (times - 2))


def kind_of(zone: str, accelerator: str) -> str:
    """What quota is for."""
    return f"{zone} {accelerator}"


def wished(
    before: PodState | None, pod: Pod, prices: Mapping[str, float], version: str, trains: bool
) -> PodState:
    """A pod as a person wishes it now. What was asked for, had and paid before stays; what ended begins again."""
    state = resume(before) if before and before.ending else before or PodState({})
    chosen = state.chosen or pod.adopt
    values = pod.model_dump(mode="json")
    return replace(state, pod=values, prices=dict(prices), version=version, trains=trains, chosen=chosen)
