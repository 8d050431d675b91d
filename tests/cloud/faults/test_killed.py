"""Supervisors that are processes and get SIGKILL, one after the other, in the life of one pod."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from cloud.chain import SCRIPT, chain
from cloud.conftest import ZONE
from cloud.fake_google import FakeGoogle
from cloud.fake_ssh import FakeHosts
from cloud.fake_world import Clock, World, Zone
from cloud.real_hosts import RealHosts
from support import ROOT

ACTS = ("create", "prepare", "start", "delete")
POINTS = [f"{when}-act@{act}" for act in ACTS for when in ("before", "after")]
STEPS = 400


class Pod:
    """A pod.yaml, and one supervisor of it at a time."""

    def __init__(self, folder: Path, world: World, environment: dict[str, str]) -> None:
        self.folder, self.world, self._environment = folder, world, environment
        self.died: list[str] = []
        (folder / "rosella_tts-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
        (folder / "key").touch()
        (folder / "key.pub").write_text("ssh-ed25519 AAAA me\n")
        (folder / "pod.yaml").write_text(yaml.safe_dump(self._wish()))

    def _wish(self) -> dict[str, object]:
        return {
            "name": "dutch",
            "project": "project",
            "zones": [ZONE],
            "accelerators": ["v4-16"],
            "budget": {"hours": 100},
            "bucket": str(self.folder / "bucket"),
            "source": {"wheel": str(self.folder / "rosella_tts-0.1.0-py3-none-any.whl")},
            "command": SCRIPT,
            "coordinator": 1234,
            "run": str(self.folder / "shared"),
            "ssh": {"key": str(self.folder / "key")},
        }

    @property
    def steps(self) -> int:
        """How many of the command's are saved."""
        saved = self.folder / "shared/saved"
        return int(saved.read_text().split()[0]) if saved.exists() else 0

    def look_after(self, dies_at: str = "", dies_after: float | None = None) -> bool:
        """Until the pod has ended, which is told, or this supervisor; the first begins the pod, the next ones attach."""
        begun = any((self.folder / "bucket/pods/dutch").glob("state/0*.json"))
        verb = ["attach", "--take"] if begun else ["run", "--yes"]
        process = subprocess.Popen(
            [sys.executable, "-m", "cloud.hurried", verb[0], str(self.folder / "pod.yaml"), *verb[1:]],
            env=self._environment | {"ROSELLA_FAILPOINT": dies_at},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if dies_after is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(dies_after)
            process.kill()
        said = process.communicate(timeout=120)[1]
        assert process.returncode in (0, -9), said
        if process.returncode:
            self.died.append(dies_at or f"after {dies_after:.1f} s")
        return process.returncode == 0


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    world, hosts = World(Clock(speed=60), {ZONE: Zone()}), FakeHosts(tmp_path / "hosts")
    (tmp_path / "shared").mkdir()
    RealHosts(world, hosts, {"SHARED": str(tmp_path / "shared"), "STEPS": str(STEPS)})
    with FakeGoogle(world) as google:
        known = {
            "PATH": f"{hosts.path}:{sys.exec_prefix}/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        yield Pod(tmp_path, world, {**os.environ, **google.sign_in(tmp_path), **known})
    hosts.end()


@pytest.mark.services
def test_supervisors_killed_at_every_step_and_at_any_moment_leave_nothing_and_double_nothing(pod):
    for point in POINTS[:6]:
        assert not pod.look_after(dies_at=point), point
        assert not pod.look_after(dies_at="after-state#2")
    pod.world.preempt(f"rosella-dutch-1-{ZONE}")
    for point in POINTS[6:]:
        assert not pod.look_after(dies_at=point), point
    chance = random.Random(5)
    ended = any(pod.look_after(dies_after=chance.uniform(0.5, 4)) for _ in range(6)) or pod.look_after()
    assert ended and pod.world.left() == [] and pod.world.most_at_once() == 1
    assert (pod.folder / "shared/saved").read_text().strip() == chain(STEPS)
    assert set(POINTS) <= set(pod.died) and len(pod.died) > 15
