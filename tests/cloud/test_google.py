"""The real client against a service that misbehaves, over real connections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud.conftest import OTHER, ZONE
from cloud.fake_faults import Fault, misfortunes
from cloud.fake_google import FakeGoogle
from cloud.fake_world import Clock, World
from rosella.cloud.google import Google, connect
from rosella.cloud.slices import LATE, POD_LABEL, NoQuota, Refused, SignIn, Slice, Unreachable, Wish, name_of
from rosella.errors import FAILED, MISTAKEN, explain

NAME = name_of("pod", 1, ZONE)


def wish(name: str = NAME, zone: str = ZONE, **more: Any) -> Wish:
    values: dict[str, Any] = {
        "accelerator": "v4-32",
        "runtime": "v2",
        "spot": True,
        "labels": {POD_LABEL: "pod"},
    }
    return Wish(name, zone, **(values | more))


def only(google: Google, zone: str = ZONE) -> Slice:
    (found,) = google.slices(zone)
    return found


def got(google: Google, clock: Clock) -> Slice:
    """A slice that was waited for."""
    google.create(wish())
    clock.advance(60)
    return only(google)


def test_a_slice_is_asked_for_waited_for_held_and_given_back(
    google: Google, world: World, clock: Clock
) -> None:
    assert google.slices(ZONE) == []
    google.create(wish())
    states = []
    for _ in range(5):
        states.append(only(google).state)
        clock.advance(9)
    assert states == ["waiting", "provisioning", "provisioning", "provisioning", "active"]
    held = only(google)
    assert (held.name, held.zone, held.accelerator, held.spot, held.labels) == (
        NAME, ZONE, "v4-32", True, {POD_LABEL: "pod"},
    )  # fmt: skip
    assert [host.number for host in held.hosts] == [0, 1, 2, 3] and held.billed and held.healthy
    assert held.created == world.node(NAME).created
    google.delete(NAME, ZONE)
    assert only(google).state == "deleting"
    clock.advance(20)
    assert google.slices(ZONE) == [] == world.left()
    assert world.seconds() == 9 + 20


def test_a_wish_is_told_whole(google: Google, world: World) -> None:
    google.create(
        wish(
            spot=False,
            startup="date",
            metadata={"ssh-keys": "me:k"},
            network="n",
            subnetwork="s",
            service_account="a@b",
        )
    )
    request = world.request(NAME)
    assert request and not request.spot
    assert request.spec["metadata"] == {"startup-script": "date", "ssh-keys": "me:k"}
    assert request.spec["networkConfig"] == {"network": "n", "subnetwork": "s", "enableExternalIps": True}
    assert request.spec["serviceAccount"]["email"] == "a@b" and request.spec["runtimeVersion"] == "v2"


def test_asking_and_deleting_twice_is_as_well_as_once(google: Google, world: World, clock: Clock) -> None:
    google.create(wish())
    google.create(wish())
    clock.advance(60)
    google.create(wish())
    assert len(world.requests) == len(world.nodes) == 1
    for _ in range(3):
        google.delete(NAME, ZONE)
    clock.advance(60)
    google.delete(NAME, ZONE)
    assert world.left() == []


@pytest.mark.parametrize("kind", ["lost", "unheard", "garbage"])
@pytest.mark.parametrize(
    "verb", ["create-request", "delete-request", "list-requests", "list-nodes", "delete-node", "get-node"]
)
def test_an_answer_that_breaks_off_is_asked_for_again(
    google: Google, world: World, clock: Clock, verb: Any, kind: Any
) -> None:
    world.faults.append(Fault(verb, kind, times=2))
    assert got(google, clock).state == "active"
    google.delete(NAME, ZONE)
    clock.advance(60)
    assert google.slices(ZONE) == [] == world.left()
    assert world.faults[0].times <= 0, "the fault never struck"


def test_an_answer_that_never_comes_is_no_answer(
    served: FakeGoogle, google: Google, world: World, clock: Clock
) -> None:
    impatient = connect("project", clock=clock, sleep=clock.advance, timeout=0.5)
    world.faults.append(Fault("create-request", "hang"))
    impatient.create(wish())  # the second try learns that it is there
    assert only(google).name == NAME
    world.faults.append(Fault("list-nodes", "hang", times=9))
    with pytest.raises(Unreachable, match=f"in {ZONE} gave no answer"):
        impatient.slices(ZONE)


def test_what_lasts_longer_than_three_tries_is_told_in_one_sentence(
    google: Google, world: World, clock: Clock
) -> None:
    before = clock()
    world.faults.append(Fault("list-nodes", "status", times=3))
    with pytest.raises(Unreachable) as caught:
        google.slices(ZONE)
    sentence, code = explain(caught.value)
    assert (
        sentence
        == f"Google's TPUs in {ZONE} gave no answer that counts (The service is currently unavailable.)."
    )
    assert code == FAILED and 2 <= clock() - before <= 6
    assert google.slices(ZONE) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 429, 451])
def test_what_something_on_the_way_answers_says_nothing_of_the_slice(
    google: Google, world: World, clock: Clock, status: int
) -> None:
    got(google, clock)
    world.faults.append(Fault("*", "garbage", status=status, times=1000))
    for call in (
        lambda: google.slices(ZONE),
        lambda: google.create(wish("another")),
        lambda: google.delete(NAME, ZONE),
        lambda: google.late(NAME, ZONE, 0),
        lambda: google.adopt(NAME, ZONE, "pod"),
    ):
        with pytest.raises(Unreachable):
            call()
    world.faults.clear()
    world.hide(NAME)
    world.faults.append(Fault("get-node", "garbage", status=status, times=1000))
    with pytest.raises(Unreachable):
        google.slices(ZONE)
    world.faults.clear()
    assert only(google).state == "active"


def test_nobody_listens(google: Google, served: FakeGoogle) -> None:
    served.__exit__()
    with pytest.raises(Unreachable):
        google.slices(ZONE)


def test_waits_as_long_as_the_answer_asks_for_but_not_for_ever(
    google: Google, world: World, clock: Clock
) -> None:
    before = clock()
    world.faults.append(
        Fault("list-nodes", "status", status=429, said="Slow down.", headers={"Retry-After": "17"})
    )
    google.slices(ZONE)
    assert clock() - before == pytest.approx(17)
    world.faults.append(Fault("list-nodes", "status", headers={"Retry-After": "86400"}))
    google.slices(ZONE)
    assert clock() - before == pytest.approx(17 + 30)


def test_a_zone_without_quota_is_told_from_one_that_is_asked_too_often(google: Google, world: World) -> None:
    world.zones[ZONE].quota = 0
    with pytest.raises(NoQuota, match="Limit: 0 in zone us-central2-b") as caught:
        google.create(wish())
    assert caught.value.zone == ZONE and world.left() == []
    google.create(wish(name_of("pod", 1, OTHER), OTHER))
    world.faults.append(
        Fault(
            "create-request",
            "status",
            status=429,
            said="Quota exceeded for CreateNode requests per minute.",
            times=3,
        )
    )
    with pytest.raises(Unreachable):
        google.create(wish(name_of("pod", 2, OTHER), OTHER))


@pytest.mark.parametrize("state", ["SUSPENDED", "FAILED"])
def test_requests_that_bring_nothing_eat_quota_until_they_are_deleted(
    google: Google, world: World, clock: Clock, state: str
) -> None:
    world.zones[ZONE].quota = 1
    got(google, clock)
    world.preempt(NAME)
    world.set_request(NAME, state, "There is no more capacity.")
    second = wish(name_of("pod", 2, ZONE))
    with pytest.raises(NoQuota):
        google.create(second)
    assert only(google).state == state.lower()
    google.delete(NAME, ZONE)
    clock.advance(60)
    google.create(second)
    assert only(google).name == second.name


def test_a_request_that_failed_for_lack_of_quota_says_so(google: Google, world: World, clock: Clock) -> None:
    google.create(wish())
    world.set_request(
        NAME, "FAILED", "Quota limit 'TPUV4s' has been exceeded. Limit: 0 in zone us-central2-b."
    )
    found = only(google)
    assert found.state == "failed" and found.lacks_quota and "Limit: 0" in found.said


def test_a_create_that_comes_after_the_deletion_is_known_to_be_late(
    google: Google, world: World, clock: Clock
) -> None:
    world.faults.append(Fault("create-request", "late", seconds=300))
    asked = clock()
    google.create(wish())
    google.delete(NAME, ZONE)
    assert google.slices(ZONE) == [] and google.late(NAME, ZONE, asked)
    clock.advance(299)
    assert google.slices(ZONE) == [] and google.late(NAME, ZONE, asked)
    clock.advance(2)
    assert only(google).state == "waiting" and not google.late(NAME, ZONE, asked)


def test_a_create_that_was_never_heard_of_is_late_for_a_while(
    google: Google, world: World, clock: Clock
) -> None:
    asked = clock()
    google.create(wish("another"))
    assert google.late(NAME, ZONE, asked)
    clock.advance(LATE - 1)
    assert google.late(NAME, ZONE, asked)
    clock.advance(2)
    assert not google.late(NAME, ZONE, asked)


def test_operations_are_read_to_the_last_page(google: Google, world: World, clock: Clock) -> None:
    for number in range(5):
        google.create(wish(f"another-{number}"))
    google.create(wish())
    world.page_size = 2
    assert not google.late(NAME, ZONE, clock())
    world.faults.append(Fault("list-operations", "status", times=9))
    with pytest.raises(Unreachable):
        google.late(NAME, ZONE, clock())


def test_a_reservation_without_machines_and_machines_without_one(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.vanish(NAME)
    assert only(google).state == "lost" and not only(google).billed
    google.delete(NAME, ZONE)
    clock.advance(60)
    second = name_of("pod", 2, ZONE)
    google.create(wish(second))
    clock.advance(60)
    world.outlive(second)
    world.set_request(second, "FAILED", "bootstrap failed")
    assert only(google).state == "failed" and only(google).billed
    google.delete(second, ZONE)
    clock.advance(60)
    assert google.slices(ZONE) == [] == world.left()


def test_machines_whose_reservation_alone_was_deleted_are_found(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.outlive(NAME)
    world.faults.append(Fault("delete-node", "status", times=3))
    with pytest.raises(Unreachable):
        google.delete(NAME, ZONE)
    clock.advance(60)
    assert world.request(NAME) is None and only(google).state == "active"
    google.delete(NAME, ZONE)
    clock.advance(60)
    assert world.left() == []


def test_deleting_that_never_ends_stays_visible(google: Google, world: World, clock: Clock) -> None:
    got(google, clock)
    world.stick(NAME)
    google.delete(NAME, ZONE)
    clock.advance(36_000)
    assert only(google).state == "deleting" and only(google).billed
    google.delete(NAME, ZONE)
    world.unstick(NAME)
    assert google.slices(ZONE) == []


def test_what_may_not_be_deleted_in_its_state_is_told_and_asked_again(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.faults.append(
        Fault(
            "delete-request",
            "status",
            status=400,
            said="The request is suspending.",
            state="FAILED_PRECONDITION",
        )
    )
    with pytest.raises(Unreachable, match="cannot be deleted at this moment.*is suspending"):
        google.delete(NAME, ZONE)
    assert world.node(NAME).state == "DELETING", "the machines go on costing money"
    clock.advance(60)
    google.delete(NAME, ZONE)
    clock.advance(60)
    assert world.left() == []


@pytest.mark.parametrize("state", ["PREEMPTED", "TERMINATED", "STOPPED", "UNKNOWN", "HIDDEN", 99])
@pytest.mark.parametrize("suspended", [True, False])
def test_a_slice_that_is_taken_is_lost_whatever_it_is_called(
    google: Google, world: World, clock: Clock, state: str | int, suspended: bool
) -> None:
    got(google, clock)
    world.preempt(NAME, state, suspended)
    assert only(google).state == ("suspended" if suspended else "lost")


def test_a_node_under_repair_is_not_to_be_used_and_comes_back(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.set_node(NAME, "REPAIRING", health="UNHEALTHY_MAINTENANCE")
    assert (only(google).state, only(google).healthy, only(google).billed) == ("provisioning", False, True)
    world.set_node(NAME, "READY", health="HEALTHY")
    assert only(google).state == "active"


def test_the_old_node_listed_beside_the_new_one_is_not_the_slice(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.ghost(NAME)
    assert only(google).state == "active"


def test_a_node_listed_before_it_is_finished_is_not_yet_a_slice(
    google: Google, world: World, clock: Clock
) -> None:
    world.zones[ZONE].finish = 30
    found = got(google, clock)
    assert (found.state, found.hosts, found.billed) == ("provisioning", (), True)
    clock.advance(30)
    assert only(google).state == "active"


def test_a_node_that_the_list_forgets_is_asked_for_by_name(
    google: Google, world: World, clock: Clock
) -> None:
    got(google, clock)
    world.hide(NAME)
    assert only(google).state == "active"


def test_a_list_that_is_not_whole_is_no_list(google: Google, world: World, clock: Clock) -> None:
    got(google, clock)
    world.faults.append(Fault("list-nodes", "partial", times=3))
    with pytest.raises(Unreachable, match="not whole"):
        google.slices(ZONE)
    world.faults.append(Fault("list-requests", "partial", times=2))
    assert only(google).state == "active"


def test_all_pages_are_read_and_what_shifts_between_them_hides_nothing(
    google: Google, world: World, clock: Clock
) -> None:
    names = [f"slice-{number}" for number in range(7)]
    for name in names:
        google.create(wish(name))
    world.page_size = 2
    assert [each.name for each in google.slices(ZONE)] == names
    world.between_pages = lambda: world.requests.pop(0) if len(world.requests) == 7 else None
    assert [each.name for each in google.slices(ZONE)] == names[1:]
    world.between_pages = lambda: world.requests.insert(0, world.requests.pop())
    with pytest.raises(Unreachable, match="changes faster"):
        google.slices(ZONE)


def test_a_token_that_ran_out_is_renewed_unseen(google: Google, world: World, clock: Clock) -> None:
    google.slices(ZONE)
    world.expire()
    google.create(wish())
    world.expire()
    assert only(google).name == NAME and not google.late(NAME, ZONE, clock())


def test_who_is_signed_out_is_told_how_to_sign_in_again_and_goes_on_where_he_was(
    google: Google, world: World
) -> None:
    google.create(wish())
    world.sign_out()
    for call in (
        lambda: google.slices(ZONE),
        lambda: google.delete(NAME, ZONE),
        lambda: google.late(NAME, ZONE, 0),
    ):
        with pytest.raises(SignIn, match="gcloud auth application-default login") as caught:
            call()
    assert explain(caught.value)[1] == FAILED and "Bearer" not in str(caught.value)
    world.signed_in = True
    assert only(google).name == NAME


def test_a_token_that_nobody_accepts_is_a_matter_of_signing_in(google: Google, world: World) -> None:
    world.faults.append(Fault("*", "status", status=401, said="Request had invalid credentials.", times=99))
    with pytest.raises(SignIn, match="invalid credentials"):
        google.slices(ZONE)


def test_nobody_was_ever_signed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(SignIn, match="gcloud auth application-default login"):
        connect("project")


def test_a_file_of_credentials_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(SignIn):
        connect("project")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"accelerator": "nonsense"}, "Accelerator type"),
        ({"zone": "nowhere"}, "Location nowhere is not found"),
    ],
)
def test_what_will_never_be_granted_is_the_persons_to_mend(
    google: Google, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said) as caught:
        google.create(wish(**change))
    assert explain(caught.value)[1] == MISTAKEN
    with pytest.raises(Refused, match="Location nowhere"):
        google.slices("nowhere")


def test_a_project_that_is_not_ours(google: Google, served: FakeGoogle) -> None:
    with pytest.raises(Refused, match="Permission denied on project theirs"):
        connect("theirs", sleep=lambda _: None).slices(ZONE)


def test_a_machine_that_is_there_already_is_adopted_once(google: Google, world: World) -> None:
    world.plant("mine", ZONE, labels={"team": "speech"})
    assert not only(google).adopted
    for _ in range(2):
        adopted = google.adopt("mine", ZONE, "pod")
        assert adopted.adopted and adopted.state == "active" and adopted.labels["team"] == "speech"
        assert adopted.labels[POD_LABEL] == "pod"
    with pytest.raises(Refused, match="belongs to the pod pod"):
        google.adopt("mine", ZONE, "other")
    with pytest.raises(Refused, match="There is no TPU VM yours"):
        google.adopt("yours", ZONE, "pod")
    google.delete("mine", ZONE)
    assert only(google).state == "deleting"


def test_a_slice_of_the_pod_itself_is_not_adopted(google: Google, clock: Clock) -> None:
    got(google, clock)
    assert not google.adopt(NAME, ZONE, "pod").adopted


def test_the_reservation_of_an_adopted_machine_may_have_another_name(
    google: Google, world: World, clock: Clock
) -> None:
    world.plant("mine", ZONE, request="reservation")
    assert google.adopt("mine", ZONE, "pod").state == "active"
    google.delete("mine", ZONE)
    clock.advance(60)
    assert world.left() == []


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_line_costs_time_and_nothing_else(
    google: Google, world: World, clock: Clock, seed: int
) -> None:
    """Of all answers a third go wrong: what is asked for in rounds is there at last, and gone at last, and once."""
    world.chaos = misfortunes(seed, 0.33)

    def insist(call: Any) -> Any:
        while True:
            try:
                return call()
            except Unreachable:
                clock.advance(10)

    for number in range(5):
        name = name_of("pod", number, ZONE)
        insist(lambda name=name: google.create(wish(name)))
        while not any(each.state == "active" for each in insist(lambda: google.slices(ZONE))):
            clock.advance(10)
        while insist(lambda: google.slices(ZONE)):
            insist(lambda name=name: google.delete(name, ZONE))
            clock.advance(10)
    assert world.left() == [] and world.most_at_once() == 1 and len(world.past) == 5
