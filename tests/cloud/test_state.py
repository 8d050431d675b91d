"""States of a pod in a bucket: of two who write the same number one has won, and nobody acts on an old one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloud.fake_buckets import FakeBuckets, Trouble
from rosella.cloud.kept import keep_version, kept_version
from rosella.cloud.state import KEPT, Away, Bill, Ending, Overtaken, PodState, Request, Store, Training
from rosella.cloud.version import Version
from rosella.errors import RosellaError


@pytest.fixture(params=["a folder", "a bucket"])
def home(request, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "a folder" else request.getfixturevalue("in_bucket")


@pytest.fixture
def in_bucket(buckets: FakeBuckets) -> str:
    buckets.page_size = 3
    return "gs://my-dutch/pods/dutch"


def state(generation: int = 0) -> PodState:
    return PodState({"name": "dutch"}, generation=generation)


def test_what_is_written_is_read_by_another_machine(home):
    whole = PodState(
        {"name": "dutch", "budget": {"money": 3.0}},
        {"v4-32": 51.52},
        requests=(Request("a", "z", "v4-32", 1.5, missing=2.0, doomed=3.0),),
        bills=(Bill("a", "z", "v4-32", None, 1.0, 2.0),),
        training=Training(3, 2, 1.0),
        ending=Ending("done", "It is done.", 5.0),
    )
    assert Store(home).newest() is None
    Store(home, lambda: 7.0, "me-1").take(None, whole)
    found = Store(home).newest()
    assert found and found.state == whole and (found.number, found.written, found.who) == (1, 7.0, "me")


def test_of_two_who_begin_one_has_won(home):
    first, second = Store(home, holder="first-1"), Store(home, holder="second-1")
    first.take(None, state())
    with pytest.raises(Overtaken, match="first looks after this pod now"):
        second.take(None, state())
    first.commit(state(1))


def test_one_who_was_overtaken_writes_nothing_more(home):
    first, second = Store(home, holder="first-1"), Store(home, holder="second-1")
    first.take(None, state())
    second.take(second.newest(), state(1))
    for write in (lambda: first.commit(state(9)), first.renew):
        with pytest.raises(Overtaken, match="second looks"):
            write()
    second.commit(state(2))
    assert Store(home).newest().state.generation == 2


def test_a_sleeper_whose_number_was_deleted_since_is_overtaken_all_the_same(home):
    sleeper, other = Store(home, holder="sleeper-1"), Store(home, holder="other-1")
    sleeper.take(None, state())
    other.take(other.newest(), state())
    for number in range(3 * KEPT):
        other.commit(state(number))
    with pytest.raises(Overtaken, match="other looks"):
        sleeper.commit(state(99))
    assert Store(home).newest().state.generation == 3 * KEPT - 1


@pytest.mark.parametrize("again", [1, 2])
def test_a_state_whose_answer_was_lost_is_gone_on_from(home, monkeypatch, again):
    store = Store(home, holder="me-1")
    store.take(None, state())
    create = Store._create_only

    def lose(self: Store, path: str, data: bytes) -> None:
        create(self, path, data)
        raise OSError("the connection broke off")

    monkeypatch.setattr(Store, "_create_only", lose)
    with pytest.raises(Away, match="does not answer"):
        store.commit(state(1))
    monkeypatch.setattr(Store, "_create_only", create)
    store.commit(state(again))
    store.commit(state(5))
    assert Store(home).newest().state.generation == 5


def test_states_long_past_are_deleted(home):
    store = Store(home)
    store.take(None, state())
    for number in range(3 * KEPT):
        store.commit(state(number))
    assert len(store._numbers()) <= KEPT + 1


def test_what_was_not_written_to_its_end_is_no_state(tmp_path):
    store = Store(str(tmp_path))
    store.take(None, state(1))
    (tmp_path / "state" / ".1-1.tmp").write_text('{"number": 2, "hol')
    assert Store(str(tmp_path)).newest().state.generation == 1
    (path,) = (tmp_path / "state").glob("0*.json")
    assert json.loads(path.read_text())["state"]["generation"] == 1


@pytest.mark.parametrize("trouble", ["lost", "gone", "refused"])
def test_a_bucket_that_answers_badly_for_a_moment_is_written_all_the_same(
    buckets, in_bucket, trouble: Trouble
):
    """gcsfs asks again, and then hears that the state is there: it is our own."""
    store = Store(in_bucket, holder="me-1")
    store.take(None, state())
    troubles = [trouble, trouble]
    buckets.befalls = lambda method, path: troubles.pop() if method == "POST" and troubles else None
    store.commit(state(1))
    store.commit(state(2))
    assert not troubles and Store(in_bucket).newest().state.generation == 2


def test_a_bucket_that_may_not_be_used_is_said_to_be_away(in_bucket):
    with pytest.raises(Away, match="does not answer"):
        Store(in_bucket.replace("my-dutch", "another")).take(None, state())


def test_a_version_is_kept_and_what_is_damaged_is_not_brought(home, buckets):
    version = Version("rosella_tts-1.0-py3-none-any.whl", bytes(range(256)) * 4000, b"numpy==2.0\n")
    keep_version(home, version)
    keep_version(home, version)
    assert kept_version(home, version.name) == version
    keep_version(home, Version(version.wheel_name, b"another", version.constraints))
    with pytest.raises(RosellaError, match="no longer in"):
        kept_version(home, "1.0-000000000000")
