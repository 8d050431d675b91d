"""A pod from its first request to the proof that nothing is left, with a cloud over HTTP that misbehaves."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.conftest import OTHER, ZONE
from cloud.fake_crew import EVERY, PACE, FakeCrew, busy, weights
from cloud.fake_faults import Fault, misfortunes
from cloud.fake_world import Clock, World
from rosella.cloud import state as states
from rosella.cloud import supervisor as supervision
from rosella.cloud.budget import goodput, spent
from rosella.cloud.google import Google
from rosella.cloud.hosts import NotReady
from rosella.cloud.pod import Pod
from rosella.cloud.slices import SignIn
from rosella.cloud.state import Overtaken, PodState, Store
from rosella.cloud.supervisor import Supervisor, wait_for_silence

STEPS = 30
PRICE = 51.52


class Place:
    """A cloud, hosts, a bucket and a person who reads."""

    def __init__(self, folder: Path, world: World, google: Google, clock: Clock) -> None:
        self.folder, self.world, self.google, self.clock = folder, world, google, clock
        self.crew = FakeCrew(world, STEPS)
        self.said: list[str] = []
        self.every_round: Callable[[], None] = lambda: None
        self.rounds = 0

    def pod(self, **keys: Any) -> Pod:
        values = {
            "name": "dutch",
            "project": "project",
            "zones": [ZONE],
            "accelerators": ["v4-32"],
            "budget": {"money": 1000},
            "bucket": str(self.folder),
            "source": {"wheel": "rosella.whl"},
            "command": "rosella train dia.yaml",
            "run": "runs/dia",
        }
        return Pod.model_validate(values | keys)

    def store(self, pod: Pod | None = None) -> Store:
        return Store((pod or self.pod()).home, self.clock)

    def supervisor(self, pod: Pod | None = None) -> Supervisor:
        """One that has taken the pod over, or begun it."""
        pod = pod or self.pod()
        made = Supervisor(
            pod, self.google, self.crew, self.store(pod), self.said.append, self.clock, self._sleep
        )
        held = made._store.newest()
        fresh = PodState(made.pod.model_dump(mode="json"), {"v4-32": PRICE, "v4-16": PRICE / 2})
        made.take(held.state if held else fresh, held)
        return made

    def run(self, pod: Pod | None = None) -> PodState:
        ended = self.supervisor(pod).run()
        self.check(ended)
        return ended

    def check(self, ended: PodState) -> None:
        """Nothing is left, nothing was double, everything is paid for."""
        assert ended.ending and self.world.left() == []
        assert self.crew.most_at_once <= 1
        paid = spent(ended.bills, self.clock(), 0)
        assert self.world.seconds() <= paid.seconds + 1
        assert not any(bill.open for bill in ended.bills)

    def taught(self) -> bool:
        """Whether the training has ended as an undisturbed one does."""
        return self.crew.saved == (STEPS, weights(STEPS))

    def heard(self, part: str) -> bool:
        return any(part in sentence for sentence in self.said)

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something to the world once so many seconds have passed."""
        when, before = self.clock() + seconds, self.every_round

        def check() -> None:
            nonlocal when
            before()
            if self.clock() >= when:
                when = float("inf")
                act()

        self.every_round = check

    def _sleep(self, seconds: float) -> None:
        self.rounds += 1
        assert self.rounds < 5000, self.said[-5:]
        self.clock.advance(seconds)
        self.every_round()


@pytest.fixture
def place(tmp_path: Path, world: World, google: Google, clock: Clock) -> Place:
    return Place(tmp_path, world, google, clock)


def name(generation: int = 1, zone: str = ZONE) -> str:
    return f"rosella-dutch-{generation}-{zone}"


def test_a_pod_gets_a_slice_trains_and_gives_it_back(place):
    ended = place.run()
    assert ended.ending and ended.ending.outcome == "done" and place.taught()
    assert place.world.most_at_once() == 1 and place.crew.starts == 1
    paid = spent(ended.bills, place.clock(), 0)
    assert paid.seconds - place.world.seconds() < 2 * supervision.ROUND
    assert paid.money == pytest.approx(paid.seconds / 3600 * PRICE)
    assert place.said[-1] == f"Nothing of dutch is left in {ZONE}."
    assert goodput(ended.training, paid) == pytest.approx(STEPS * PACE / paid.seconds)


def test_of_all_zones_one_is_taken_and_the_others_are_withdrawn(place):
    place.world.zones[ZONE].capacity = 0
    ended = place.run(place.pod(zones=[ZONE, OTHER]))
    assert ended.ending.outcome == "done" and place.heard(f"in {OTHER} is there: 4 hosts")
    assert {zone for verb, zone, _ in place.world.asked if verb == "create-request"} == {ZONE, OTHER}


def test_when_two_zones_grant_at_once_the_first_is_taken_and_nothing_runs_twice(place):
    place.run(place.pod(zones=[OTHER, ZONE]))
    assert place.heard(f"in {OTHER} is there") and place.crew.starts == 1


def test_a_preempted_slice_is_replaced_and_the_training_goes_on(place):
    place.at(150, lambda: place.world.preempt(name()))
    ended = place.run()
    assert place.taught() and ended.preemptions == 1 and place.crew.starts == 2
    assert 0.3 < goodput(ended.training, spent(ended.bills, place.clock(), 0)) < 1


def test_a_hundred_preemptions_end_as_none(place):
    chance, dies = random.Random(7), {}
    place.crew.steps = 1200

    def preempt() -> None:
        for node in place.world.ready():
            dies.setdefault(node.name, place.clock() + chance.uniform(10, 250))
            if len(dies) <= 100 and place.clock() >= dies[node.name]:
                state = chance.choice(["PREEMPTED", "TERMINATED", "STOPPED"])
                place.world.preempt(node.name, state, suspended=chance.random() < 0.5)

    place.every_round = preempt
    place.world.chaos = misfortunes(7, 0.02)
    ended = place.run(place.pod(budget={"money": 100000}))
    assert len(dies) > 100 and ended.preemptions > 80
    assert place.crew.saved == (1200, weights(1200)) and place.world.most_at_once() == 1


def test_a_smaller_slice_is_asked_for_when_the_wished_one_does_not_come(place):
    place.world.zones[ZONE].wait = 7200
    place.at(1700, lambda: setattr(place.world.zones[ZONE], "wait", 5))
    ended = place.run(place.pod(accelerators=["v4-32", "v4-16"]))
    assert place.taught() and [bill.accelerator for bill in ended.bills] == ["v4-16"]
    assert place.heard("v4-32 did not come within 30 min: v4-16 is asked for instead")


# Requests and slices that are not what they should be


@pytest.mark.parametrize(
    ("state", "sentence"), [("SUSPENDED", "came to nothing"), ("FAILED", "came to nothing")]
)  # fmt: skip
def test_requests_that_eat_quota_are_deleted_and_made_anew(place, state, sentence):
    place.world.zones[ZONE].quota = 1
    place.at(1, lambda: place.world.set_request(name(), state, "no capacity"))
    place.run()
    assert place.taught() and place.heard(sentence)


def test_a_zone_without_quota_is_left_out_and_said_once(place):
    place.world.zones[ZONE].quota = 0
    place.run(place.pod(zones=[ZONE, OTHER]))
    asked = [zone for verb, zone, _ in place.world.asked if verb == "create-request"]
    assert place.taught() and asked.count(ZONE) == 1
    assert sum("no quota" in sentence for sentence in place.said) == 1


def test_no_quota_anywhere_is_asked_for_again_after_an_hour(place):
    place.world.zones[ZONE].quota = 0
    place.at(1800, lambda: setattr(place.world.zones[ZONE], "quota", 1))
    began = place.clock()
    place.run()
    assert place.taught() and place.clock() - began > 3600 and place.heard("asked again in 60 min")


def test_a_wish_that_no_zone_understands_ends_the_pod(place):
    place.world.faults.append(
        Fault("create-request", "status", 99, status=400, said="Runtime version is unknown.")
    )
    ended = place.run()
    assert ended.ending.outcome == "mistaken" and place.heard("Runtime version is unknown.")


@pytest.mark.parametrize("kind", ["lost", "unheard", "late"])
def test_a_create_without_an_answer_brings_one_slice(place, kind):
    place.world.faults.append(Fault("create-request", kind, times=3, seconds=200))
    place.run()
    assert place.taught() and place.world.most_at_once() == 1


def test_a_create_that_is_answered_after_the_pod_was_taken_down_leaves_nothing(place):
    place.world.faults.append(Fault("create-request", "late", seconds=400))
    made = place.supervisor()
    place.at(30, made.take_down)
    place.check(made.run())
    assert place.crew.starts == 0 and not place.world.seconds()


def test_a_zombie_whose_request_is_gone_and_whose_node_stays_is_deleted(place):
    place.at(150, lambda: (place.world.outlive(name()), place.world.preempt(name())))
    place.run()
    assert place.taught()


def test_a_node_that_vanished_under_its_request_counts_as_lost(place):
    place.at(150, lambda: place.world.vanish(name()))
    place.run()
    assert place.taught()


def test_a_deletion_without_end_is_told_once_with_what_to_do(place):
    place.world.stick(name())
    place.at(150, lambda: place.world.preempt(name()))
    place.at(4000, lambda: place.world.unstick(name()))
    place.run()
    told = [sentence for sentence in place.said if "still there" in sentence]
    assert len(told) == 1 and f"delete {name()} --force --zone {ZONE}" in told[0]
    assert place.taught()


@pytest.mark.parametrize("state", ["STOPPED", "TERMINATED", "UNKNOWN", 99])
def test_a_slice_in_any_other_state_than_ready_is_replaced(place, state):
    place.at(150, lambda: place.world.set_node(name(), state))
    place.run()
    assert place.taught() and place.crew.starts == 2


def test_a_slice_under_repair_is_waited_for(place):
    place.at(150, lambda: place.world.set_node(name(), "REPAIRING"))
    place.at(400, lambda: place.world.set_node(name(), "READY"))
    place.run()
    assert place.taught() and place.world.most_at_once() == 1 and len(place.crew.jobs) == 1


def test_a_slice_that_is_never_repaired_is_replaced(place):
    place.at(150, lambda: place.world.set_node(name(), "REPAIRING"))
    place.run()
    assert place.taught() and place.heard("is not whole for 15 min")


def test_an_old_node_of_the_same_name_changes_nothing(place):
    place.at(150, lambda: place.world.ghost(name()))
    ended = place.supervisor().run()
    assert ended.preemptions == 0 and place.crew.starts == 1


def test_a_slice_is_not_used_before_it_is_finished(place):
    place.world.zones[ZONE].finish = 300
    place.run()
    assert place.taught() and place.crew.starts == 1


# Hosts


def test_a_slice_whose_chips_are_held_is_left_at_once(place):
    held = [name()]

    def trouble(what: str, slice: Any) -> None:
        if what == "start" and slice.name in held:
            raise busy(slice)

    place.crew.trouble = trouble
    place.run()
    assert place.taught() and place.heard("Device or resource busy: the slice is left")
    assert place.world.most_at_once() == 1


def test_hosts_that_are_not_ready_are_asked_again(place):
    left = 3

    def trouble(what: str, slice: Any) -> None:
        nonlocal left
        if what in ("prepare", "start") and left:
            left -= 1
            raise NotReady(slice.hosts[3], "Permission denied (publickey)")

    place.crew.trouble = trouble
    place.run()
    assert place.taught() and place.crew.starts == 1 and place.world.most_at_once() == 1
    assert sum("Permission denied" in sentence for sentence in place.said) <= 2


def test_a_host_that_hangs_for_good_costs_its_slice(place):
    place.at(150, lambda: place.crew.silent.add(2))
    place.at(1200, place.crew.silent.clear)
    place.run()
    assert place.taught() and place.heard("hosts that say nothing (2) for 15 min") and place.crew.starts == 2


def test_a_host_that_hangs_for_a_while_costs_nothing(place):
    place.at(150, lambda: place.crew.silent.add(2))
    place.at(400, place.crew.silent.clear)
    place.run()
    assert place.taught() and place.crew.starts == 1


# The command


def test_a_command_that_fails_at_the_same_step_is_tried_three_times_more(place):
    place.crew.ends_with = lambda job, step: 1 if step == 9 else None
    ended = place.run()
    assert ended.ending.outcome == "failed" and place.crew.starts == 4
    assert "host 0, exit code 1: its last words" in ended.ending.why


def test_a_command_that_gets_on_between_failures_is_tried_again_and_again(place):
    failed: set[int] = set()

    def ends(job: Any, step: int) -> int | None:
        if step in failed or step % EVERY != 3:
            return None
        failed.add(step)
        return 1

    place.crew.ends_with = ends
    place.run()
    assert place.taught() and place.crew.starts == 6


def test_a_mistake_of_the_person_ends_the_pod_at_once(place):
    place.crew.ends_with = lambda job, step: 2
    ended = place.run()
    assert ended.ending.outcome == "mistaken" and place.crew.starts == 1 and place.heard("its last words")


def test_a_command_that_was_told_to_stop_goes_on(place):
    place.crew.ends_with = lambda job, step: 143 if step == 9 and job.attempt.endswith("-1") else None
    place.run()
    assert place.taught() and place.crew.starts == 2


# Money, sleep, sign-in


@pytest.mark.parametrize("budget", [{"hours": 0.2}, {"money": 0.2 * PRICE}])
def test_a_budget_that_ends_in_mid_step_saves_and_ends_the_pod_within_it(place, budget):
    place.crew.steps = 10_000
    ended = place.run(place.pod(budget=budget))
    assert ended.ending.outcome == "budget" and place.heard("The budget is used up")
    assert place.crew.saved[0] % EVERY and place.crew.saved[1] == weights(place.crew.saved[0])
    assert place.world.seconds() < 0.2 * 3600


def test_a_laptop_that_sleeps_for_hours_finds_everything_as_it_is(place):
    place.at(150, lambda: (place.world.preempt(name()), place.clock.advance(5 * 3600)))
    ended = place.run()
    assert place.taught() and ended.preemptions == 1
    # What nobody saw is counted only as long as the hosts would have lived alone.
    assert spent(ended.bills, place.clock(), 0).seconds < 3600 + 1200


def test_a_laptop_that_sleeps_while_the_training_ends_pays_what_the_cloud_bills(place):
    place.at(150, lambda: place.clock.advance(5 * 3600))
    ended = place.run()
    assert place.taught() and ended.ending.outcome == "done"


@pytest.mark.parametrize("apart", [-3 * 86400, 3 * 86400])
def test_clocks_that_are_apart_bill_nothing_that_was_not(place, apart):
    class Apart(Clock):
        def __call__(self) -> float:
            return place.world.clock() + apart

        def advance(self, seconds: float) -> None:
            place.world.clock.advance(seconds)

    place.clock = Apart()
    ended = place.run()
    assert place.taught()
    assert spent(ended.bills, place.clock(), 0).seconds - place.world.seconds() < 4 * supervision.ROUND


def test_a_token_that_expires_is_renewed_unseen(place):
    place.at(100, place.world.expire)
    place.run()
    assert place.taught() and not place.heard("sign")


def test_who_is_signed_out_leaves_everything_as_it_is_and_goes_on_later(place):
    place.at(150, place.world.sign_out)
    with pytest.raises(SignIn, match="gcloud auth"):
        place.supervisor().run()
    assert place.world.left() and place.crew.jobs
    place.every_round = lambda: None
    place.world.signed_in = True
    place.run()
    assert place.taught() and place.crew.starts == 1


def test_a_cloud_that_is_away_is_waited_for(place):
    place.at(150, lambda: place.world.faults.append(Fault("*", "status", times=60, status=503)))
    place.run()
    assert place.taught() and place.crew.starts == 1
    assert sum("gave no answer" in sentence for sentence in place.said) <= 2


def test_a_bucket_that_is_away_stops_all_deeds_until_it_is_back(place, monkeypatch):
    broken = False
    create = Store._create_only

    def create_only(self: Store, path: str, data: bytes) -> None:
        if broken:
            raise OSError("no route to host")
        create(self, path, data)

    def set_broken(value: bool) -> None:
        nonlocal broken
        broken = value

    monkeypatch.setattr(Store, "_create_only", create_only)
    place.at(20, lambda: set_broken(True))
    place.at(400, lambda: set_broken(False))
    place.run()
    assert place.taught() and sum("bucket does not answer" in sentence for sentence in place.said) == 1


# Who looks after it


def test_a_pod_is_kept_in_a_bucket_that_falters(place, buckets):
    """Google's client of it asks again by itself."""
    chance, troubles = random.Random(4), ["lost", "refused", "gone", "lost"]
    buckets.befalls = lambda method, path: troubles.pop() if troubles and chance.random() < 0.1 else None
    place.at(150, lambda: place.world.preempt(name()))
    ended = place.run(place.pod(bucket="gs://my-dutch"))
    assert ended.ending.outcome == "done" and place.taught() and ended.preemptions == 1 and not troubles


def test_an_adopted_slice_is_trained_on_and_stays(place):
    place.world.plant("mine", ZONE)
    place.google.adopt("mine", ZONE, "dutch")
    made = place.supervisor(place.pod(adopt="mine"))
    made.state = PodState(made.pod.model_dump(mode="json"), chosen="mine")
    ended = made.run()
    assert place.taught() and ended.ending.outcome == "done" and place.world.left() == ["mine"]


def test_a_pod_that_is_held_runs_nothing_and_is_taken_down(place):
    made = place.supervisor()
    made._keep(PodState(made.pod.model_dump(mode="json"), trains=False))
    place.at(300, made.take_down)
    ended = made.run()
    place.check(ended)
    assert place.crew.starts == 0 and place.crew.beats and ended.ending.outcome == "asked"
    assert sum("is ready and runs nothing" in sentence for sentence in place.said) == 1


def test_one_who_was_overtaken_stops_and_leaves_all_as_it_is(place):
    first = place.supervisor()
    place.at(150, lambda: setattr(place, "second", place.supervisor()))
    with pytest.raises(Overtaken, match="looks after this pod now"):
        first.run()
    place.every_round = lambda: None
    place.check(place.second.run())
    assert place.taught() and place.crew.starts == 1


def test_a_living_supervisor_is_not_overtaken_and_a_silent_one_is(place):
    first = place.supervisor()
    store = place.store()

    def live(seconds: float) -> None:
        place.clock.advance(seconds)
        first._store.renew()

    with pytest.raises(Overtaken, match="looks after this pod"):
        wait_for_silence(store, place.said.append, place.clock, live)
    assert wait_for_silence(store, place.said.append, place.clock, place.clock.advance).state == first.state
    place.clock.advance(states.LEASE)
    assert wait_for_silence(store, place.said.append, place.clock, pytest.fail).state == first.state


def test_a_zone_that_neither_grants_nor_tells_keeps_no_pod_from_its_end(place):
    place.world.faults.append(Fault("*", "status", status=403, said="Not allowed.", zone=OTHER, times=10**6))
    ended = place.run(place.pod(zones=["us-centrl2-b", OTHER, ZONE]))
    assert place.taught() and ended.ending.outcome == "done"
    assert place.heard("Location us-centrl2-b is not found") and place.heard(
        f"refuses in {OTHER}: Not allowed."
    )
    assert place.said[-1] == f"Nothing of dutch is left in {ZONE}."


def test_a_zone_that_told_once_is_waited_for_until_it_tells_again(place):
    place.at(300, lambda: place.world.faults.append(Fault("*", "status", zone=OTHER, times=200)))
    ended = place.run(place.pod(zones=[ZONE, OTHER]))
    assert place.taught() and ended.ending.proven - ended.ending.since > 500


def test_every_slice_is_born_with_a_switch(place):
    place.run()
    assert f"queuedResources/{name()}?force=true" in place.world.past[-1].spec["metadata"]["startup-script"]


def test_machines_of_a_slice_that_is_given_up_train_no_further_beside_others(place):
    place.world.zones[ZONE].delete = 3000
    place.at(130, lambda: place.world.set_request(name(), "SUSPENDED"))
    place.run()
    assert place.taught() and place.crew.starts == 2


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Die at the Nth failpoint from now on; what was reached."""

    def arm(number: int) -> list[str]:
        reached: list[str] = []

        def failpoint(point: str, stage: str = "") -> None:
            reached.append(f"{point}@{stage}" if stage else point)
            if len(reached) == number:
                raise Killed

        for module in (supervision, states):
            monkeypatch.setattr(module, "failpoint", failpoint)
        return reached

    return arm


SCENES = ("until it is done", "through a preemption", "until it is taken down")


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_any_step_whoever_goes_on_leaves_nothing_and_doubles_nothing(
    scene, tmp_path, world, google, clock, killing
):
    steps = len(_scene(scene, tmp_path / "whole", world, google, clock, killing(0)))
    assert steps > 20
    for number in range(1, steps + 1):
        _scene(scene, tmp_path / str(number), world, google, clock, killing(number))


def _scene(
    scene: str, folder: Path, world: World, google: Google, clock: Clock, reached: list[str]
) -> list[str]:
    place = Place(folder, world, google, clock)
    place.world.watchers[:] = place.world.watchers[-1:]
    place.world.past.clear()
    place.world.operations.clear()
    place.crew.steps = 12
    made = None
    if scene == "through a preemption":
        place.at(130, lambda: [world.preempt(node.name) for node in world.ready()[:1]])
    try:
        made = place.supervisor(place.pod(zones=[ZONE, OTHER]))
        if scene == "until it is taken down":
            place.at(100, lambda: made and not made.state.ending and made.take_down())
        ended = made.run()
    except Killed:
        clock.advance(300)
        again = place.supervisor(place.pod(zones=[ZONE, OTHER]))
        if scene == "until it is taken down":
            place.every_round = lambda: None
            again.take_down()
        ended = again.run()
    place.check(ended)
    if scene != "until it is taken down":
        assert place.crew.saved == (12, weights(12))
    return reached
