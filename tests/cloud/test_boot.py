"""What a host does from its first second where nobody comes, by a real shell and curl, with a cloud that hears of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud.conftest import ZONE
from cloud.fake_google import FakeGoogle
from cloud.fake_world import Clock, World
from rosella.cloud.boot import at_boot
from rosella.cloud.switch import Switch

NAME = "rosella-pod-1-" + ZONE
PATIENCE = 60.0


def wait_for(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@dataclass
class Born:
    """A host that has just started, of a slice that is there."""

    folder: Path
    served: FakeGoogle

    def __post_init__(self) -> None:
        for name in ("root", "homes"):
            (self.folder / name).mkdir()
        self.run_for(0)

    @property
    def rosella(self) -> Path:
        return self.folder / "root" / "rosella"

    def run_for(self, seconds: float) -> None:
        """How long this host has run, as it says itself."""
        new = self.folder / "uptime.new"
        new.write_text(f"{seconds:.2f} 0.00\n")
        new.rename(self.folder / "uptime")

    def start(self) -> None:
        script = at_boot(Switch(60, "project", 300, endpoint=self.served.address), NAME, ZONE)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "root"),
            "ROSELLA_HOMES": str(self.folder / "homes"),
            "ROSELLA_UPTIME": str(self.folder / "uptime"),
            "ROSELLA_SWITCH_SECONDS": "0.05",
            "GCE_METADATA_HOST": self.served.address.removeprefix("http://"),
        }
        subprocess.run(["sh"], input=script, text=True, env=environment, check=True, timeout=PATIENCE)
        with (self.rosella / "switch").open("a") as settings:
            settings.write('echo >> "$root/looks"\n')

    def beat(self, seconds: float) -> None:
        """Somebody looked after it when it had run for so long."""
        home = self.folder / "homes" / "me" / "rosella"
        home.mkdir(parents=True, exist_ok=True)
        (home / "beat.new").write_text(f"{seconds:.0f}\n")
        (home / "beat.new").rename(home / "beat")

    def look_again(self) -> None:
        """Until the switch has looked at the world as it is now, twice."""
        looks = self.rosella / "looks"
        looks.unlink(missing_ok=True)
        wait_for(lambda: looks.exists() and looks.stat().st_size >= 2)

    def end(self) -> None:
        (self.rosella / "switch").write_text("exit\n")


@pytest.fixture
def born(tmp_path: Path, served: FakeGoogle, world: World, clock: Clock) -> Iterator[Born]:
    world.plant(NAME, ZONE, request=NAME)
    made = Born(tmp_path, served)
    yield made
    made.end()


def test_a_slice_that_was_granted_when_nobody_was_there_any_more_ends_itself(
    born: Born, world: World
) -> None:
    born.run_for(20)
    born.start()
    born.look_again()
    born.run_for(3600 + 300 + 899)
    born.look_again()
    assert not any(verb.startswith("delete") for verb, _, _ in world.asked)
    born.run_for(3600 + 300 + 902)
    wait_for(lambda: world.node(NAME).state == "DELETING")
    assert world.request(NAME) and "Bearer" not in (born.rosella / "switch.log").read_text()


def test_a_slice_that_somebody_looks_after_lives_on_and_ends_when_nobody_does_any_more(
    born: Born, world: World
) -> None:
    born.start()
    born.beat(9000)
    born.run_for(9100)
    born.look_again()
    assert world.node(NAME).state == "READY"
    born.run_for(9000 + 4810)
    wait_for(lambda: world.node(NAME).state == "DELETING")


def test_a_beat_from_before_the_host_was_restarted_is_forgotten(born: Born, world: World) -> None:
    born.beat(900_000)
    wait_for(lambda: _older_than_now(born))
    born.start()
    born.run_for(4810)
    wait_for(lambda: world.node(NAME).state == "DELETING")


def _older_than_now(born: Born) -> bool:
    """Whether a file made now is newer than the beat: the clock of files is coarse."""
    now = born.folder / "now"
    now.touch()
    return now.stat().st_mtime_ns > (born.folder / "homes" / "me" / "rosella" / "beat").stat().st_mtime_ns
