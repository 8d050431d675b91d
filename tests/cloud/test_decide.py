"""One round at a time: what is seen, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rosella.cloud.acts import Create, Delete, Prepare, Say, Seen, Start, Stop
from rosella.cloud.changes import backoff, end, refused, stopped
from rosella.cloud.decide import CONFIRMED, NO_QUOTA, UNWELL, decide
from rosella.cloud.launch import HostState
from rosella.cloud.pod import Pod
from rosella.cloud.slices import Host, Slice
from rosella.cloud.state import Attempt, Bill, PodState, Request

HERE, THERE = "us-central2-b", "europe-west4-a"
HOSTS = tuple(Host(number, f"10.0.0.{number}") for number in range(4))


def pod(**keys: Any) -> Pod:
    values = {
        "name": "dutch",
        "project": "project",
        "zones": [HERE, THERE],
        "accelerators": ["v4-32"],
        "budget": {"hours": 100},
        "bucket": "gs://bucket",
        "source": {"wheel": "rosella.whl"},
        "command": "true",
    }
    return Pod.model_validate(values | keys)


def told(number: int, zone: str = HERE, state: Any = "active", **more: Any) -> Slice:
    hosts = HOSTS if state == "active" else ()
    values = {"hosts": hosts, "billed": state == "active", "accelerator": "v4-32"} | more
    return Slice(f"rosella-dutch-{number}-{zone}", zone, state, **values)


def seen(*slices: Slice, now: float = 1000.0, silent: str = "", **more: Any) -> Seen:
    return Seen(now, slices, frozenset({HERE, THERE} - {silent}), **more)


def asked(number: int, zone: str = HERE, **more: Any) -> Request:
    return Request(f"rosella-dutch-{number}-{zone}", zone, "v4-32", 900.0, **{"listed": True, **more})


def training(**more: Any) -> PodState:
    """The command runs on the first slice."""
    name = f"rosella-dutch-1-{HERE}"
    state = PodState(
        {}, generation=1, requests=(asked(1),), chosen=name, prepared=name, attempt=Attempt("dutch-1", name, 950.0, True),
        bills=(Bill(name, HERE, "v4-32", 50.0, 900.0, 990.0, switched=True),), jobs=1,
    )  # fmt: skip
    return replace(state, **more)


def hosts(*states: Any) -> tuple[HostState, ...]:
    """Of each host its state, or the code it ended with."""
    return tuple(
        HostState(host, "ended", each, b"last words\n") if isinstance(each, int) else HostState(host, each)
        for host, each in zip(HOSTS, states, strict=True)
    )


def acts(result: tuple[PodState, tuple[Any, ...]], *kinds: type) -> list[Any]:
    return [act for act in result[1] if isinstance(act, kinds or (Create, Delete, Prepare, Start, Stop))]


def test_every_zone_is_asked_under_a_name_that_is_written_down_first():
    state, _ = result = decide(pod(), PodState({}), seen())
    assert [act.request.name for act in acts(result, Create)] == [
        f"rosella-dutch-1-{HERE}",
        f"rosella-dutch-2-{THERE}",
    ]
    assert state.requests == tuple(act.request for act in acts(result, Create)) and state.generation == 2


def test_a_round_without_news_does_nothing():
    running = seen(told(1), hosts=hosts(*["running"] * 4))
    assert decide(pod(), training(), running)[1] == ()


def test_nothing_is_done_about_a_zone_that_says_nothing():
    assert decide(pod(), training(), seen(silent=HERE))[1] == ()


def test_the_first_wish_is_chosen_and_written_down_before_the_others_are_deleted():
    waiting = PodState({}, generation=2, requests=(asked(2, THERE), asked(1)))
    state, _ = result = decide(pod(), waiting, seen(told(2, THERE), told(1)))
    assert state.chosen == f"rosella-dutch-1-{HERE}"
    assert acts(result) == [Delete(f"rosella-dutch-2-{THERE}", THERE), Prepare(told(1))]


def test_a_loser_that_comes_late_does_not_become_the_winner():
    slow = training(requests=(asked(1, THERE, doomed=950.0), asked(2)), chosen=f"rosella-dutch-2-{HERE}",
                    prepared=f"rosella-dutch-2-{HERE}", attempt=None)  # fmt: skip
    state, _ = result = decide(pod(zones=[THERE, HERE]), slow, seen(told(1, THERE), told(2)))
    assert state.chosen == f"rosella-dutch-2-{HERE}" and Delete(f"rosella-dutch-1-{THERE}", THERE) in acts(
        result
    )


def test_what_bears_the_label_and_nobody_wrote_down_is_deleted():
    state, _ = result = decide(
        pod(), training(), seen(told(1), told(7, THERE), hosts=hosts(*["running"] * 4))
    )
    assert acts(result) == [Delete(f"rosella-dutch-7-{THERE}", THERE)]
    assert [each.name for each in state.requests if not each.wanted] == [f"rosella-dutch-7-{THERE}"]


@pytest.mark.parametrize("how", ["lost", "suspended", "failed", "deleting"])
def test_a_slice_in_any_such_state_is_replaced_and_only_once_it_costs_no_more(how):
    state, _ = result = decide(pod(zones=[HERE]), training(), seen(told(1, state=how, billed=False)))
    assert [type(act) for act in acts(result)] == ([Create] if how == "deleting" else [Delete, Create])
    assert state.chosen is None and state.preemptions == 1
    costly = decide(pod(zones=[HERE]), training(), seen(told(1, state="lost", billed=True)))
    assert [type(act) for act in acts(costly)] == [Delete]


def test_a_hole_in_one_list_is_no_proof():
    state, _ = result = decide(pod(), training(), seen())
    assert acts(result) == [] and state.chosen
    later = decide(pod(zones=[HERE]), state, seen(now=1000 + CONFIRMED))
    assert later[0].chosen is None and [type(act) for act in acts(later)] == [Create]


def test_what_create_may_still_bring_is_not_gone():
    asking, _ = decide(pod(), PodState({}), seen())
    state = end(asking, "asked", "It is taken down.", 1000)
    for now in (1015, 1060, 1800):
        state, _ = decide(pod(), state, seen(now=now, late=frozenset({f"rosella-dutch-1-{HERE}"})))
        assert not state.ended
    for now in (1815, 1860):
        state, _ = decide(pod(), state, seen(now=now))
    assert state.ended


def test_a_zone_that_says_nothing_is_no_proof_either():
    state = end(training(attempt=None, looked={HERE: 1.0, THERE: 1.0}), "asked", "It is taken down.", 1000)
    for now in (1015, 1060, 1100):
        state, _ = decide(pod(), state, seen(now=now, silent=THERE))
    assert not state.ended
    assert decide(pod(), state, seen(now=1115))[0].ended


def test_quota_that_may_be_eaten_by_what_is_left_is_tried_again_soon():
    left = PodState({}, generation=1, requests=(asked(1, doomed=990.0),))
    assert refused(left, asked(2, listed=False), 1000, 1000 + NO_QUOTA).closed == {}
    assert refused(PodState({}), asked(2, listed=False), 1000, 1000 + NO_QUOTA).closed


def test_waiting_grows_from_none_to_a_quarter_of_an_hour():
    assert [backoff(times) / 60 for times in range(1, 9)] == [0, 1, 2, 4, 8, 15, 15, 15]


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (("never",) * 4, Start),
        (("running", "running", "running", "never"), Stop),
        (("unanswered",) * 4, None),
        (("running", "running", "running", 1), None),
        ((1, 1, 1, 1), Start),
        ((143, 143, 130, 143), Start),
        ((143, 143, "never", "never"), Start),
    ],
)
def test_the_command_runs_on_all_hosts_or_on_none(states, kind):
    result = decide(pod(), training(), seen(told(1), hosts=hosts(*states)))
    assert [type(act) for act in acts(result)] == ([kind] if kind else [])
    if kind is Start:
        assert acts(result)[0].attempt.id == "dutch-2" and result[0].attempt == acts(result)[0].attempt


def test_hosts_of_a_command_that_ended_elsewhere_are_stopped_after_a_while():
    half = {"hosts": hosts("running", "running", "running", 1)}
    state, _ = decide(pod(), training(), seen(told(1), **half))
    assert [type(act) for act in acts(decide(pod(), state, seen(told(1), now=1130, **half)))] == [Stop]


@pytest.mark.parametrize(("codes", "outcome"), [((0, 0, 0, 0), "done"), ((0, 0, 2, 0), "mistaken")])
def test_a_command_that_is_done_or_mistaken_ends_the_pod(codes, outcome):
    state, _ = decide(pod(), training(), seen(told(1), hosts=hosts(*codes)))
    assert state.ending and state.ending.outcome == outcome and state.chosen is None


def test_a_slice_that_is_not_whole_for_long_is_given_up():
    repaired = told(1, state="provisioning")
    state, _ = decide(pod(), training(), seen(repaired))
    assert state.chosen and state.unwell == 1000
    assert decide(pod(), state, seen(repaired, now=1000 + UNWELL))[0].chosen is None


def test_the_budget_is_used_up_before_the_farewell_costs_more():
    limit = pod(budget={"hours": 1}, grace_seconds=300)
    bill = training().bills[0]
    for hours, ends in ((0.8, False), (0.9, True)):
        paid = training(bills=(replace(bill, since=1000 - hours * 3600),))
        state, _ = result = decide(limit, paid, seen(told(1), hosts=hosts(*["running"] * 4)))
        assert bool(state.ending) == ends and ([type(act) for act in acts(result)] == [Stop]) == ends


def test_an_end_stops_the_command_first_and_deletes_then():
    state = end(training(), "asked", "It is taken down.", 1000)
    running = seen(told(1), hosts=hosts(*["running"] * 4))
    assert [type(act) for act in acts(decide(pod(), state, running))] == [Stop]
    assert [type(act) for act in acts(decide(pod(), stopped(state), running))] == [Delete]


def test_a_deletion_that_stays_is_told_of_once():
    stuck = training(requests=(asked(1), asked(5, THERE, doomed=1000 - 1801)))
    look = seen(told(1), told(5, THERE, "deleting"), hosts=hosts(*["running"] * 4))
    state, _ = result = decide(pod(), stuck, look)
    (said,) = acts(result, Say)
    assert "may cost money" in said.sentence and acts(decide(pod(), state, look), Say) == []
