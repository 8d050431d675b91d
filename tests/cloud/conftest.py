"""A cloud for every test, on a clock that stands until the test moves it, served to the real client; and machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from cloud.fake_buckets import FakeBuckets
from cloud.fake_google import FakeGoogle
from cloud.fake_ssh import FakeHosts
from cloud.fake_world import Clock, World, Zone
from rosella.cloud.google import Google, connect

# How a bucket is laid out gcsfs asks over gRPC, which no stand-in here speaks; without it, gcsfs works as ever.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

ZONE, OTHER = "us-central2-b", "europe-west4-a"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock, {ZONE: Zone(), OTHER: Zone()})


@pytest.fixture
def served(world: World) -> Iterator[FakeGoogle]:
    with FakeGoogle(world) as google:
        yield google


@pytest.fixture
def google(served: FakeGoogle, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Google:
    """Signed in; waiting between tries moves the clock instead of taking time."""
    for name, value in served.sign_in(tmp_path).items():
        monkeypatch.setenv(name, value)
    return connect("project", clock=clock, sleep=clock.advance)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHosts]:
    """Those of a test, each of which is made when it is added; `ssh` reaches them."""
    made = FakeHosts(tmp_path / "hosts")
    monkeypatch.setenv("PATH", f"{made.path}:{os.environ['PATH']}")
    yield made
    made.end()


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBuckets]:
    """Google's, of which there is one, `gs://my-dutch`, in the region of the first zone."""
    with FakeBuckets({"my-dutch": "us-central2"}) as made:
        known = {"token": "anon", "endpoint_url": made.address}
        monkeypatch.setitem(fsspec.config.conf, "gs", known)
        yield made
