"""Slices that are taken away from trainings that are real processes on real hosts, but for the machines."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cloud.chain import SCRIPT, chain
from cloud.conftest import ZONE
from cloud.fake_ssh import FakeHosts
from cloud.fake_world import Clock, World
from cloud.real_hosts import Preemptions, RealHosts, look_after
from little import write as write_little
from rosella.cloud.google import Google
from rosella.runs import read_metrics
from support import ROOT, free_port


@pytest.fixture
def clock() -> Clock:
    """Sixty times as fast as ours."""
    return Clock(speed=60)


@pytest.mark.slow
def test_thirty_preemptions_of_real_processes_end_as_none(
    tmp_path: Path, world: World, google: Google, clock: Clock, hosts: FakeHosts
):
    shared = tmp_path / "shared"
    shared.mkdir()
    RealHosts(world, hosts, {"SHARED": str(shared), "STEPS": "1500"})
    taken = Preemptions(world, 3, 30, (60, 200), lambda name: True)
    keys = {"coordinator": 1234, "run": str(shared)}
    ended, said = look_after(tmp_path, world, google, clock, hosts, SCRIPT, taken, **keys)
    assert ended.ending and ended.ending.outcome == "done", said[-5:]
    assert (shared / "saved").read_text().strip() == chain(1500)
    assert taken.left == 0 and ended.preemptions > 20 and ended.training.saved == 1500


@pytest.fixture(scope="module")
def little(tmp_path_factory) -> Path:
    return write_little(tmp_path_factory.mktemp("little"), steps=12)


@pytest.fixture(scope="module")
def undisturbed(little: Path) -> Path:
    return alone(little)


def alone(recipe: Path) -> Path:
    """The run of two processes that nothing happens to."""
    run = recipe.parent / "undisturbed"
    train = [sys.executable, "-m", "rosella", "train", str(recipe), "--run", str(run)]
    known = {"JAX_COORDINATOR_ADDRESS": f"localhost:{free_port()}", "JAX_NUM_PROCESSES": "2"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **known}
    both = [subprocess.Popen(train, env={**environment, "JAX_PROCESS_ID": each}) for each in "01"]
    assert [process.wait(timeout=1800) for process in both] == [0, 0]
    return run


def disturbed(
    tmp_path: Path,
    world: World,
    google: Google,
    clock: Clock,
    hosts: FakeHosts,
    little: Path,
    sizes: list[str],
) -> tuple[Path, list[str]]:
    """A run that loses two slices, and of the last size gets the third; with the sizes of the slices it had."""
    RealHosts(world, hosts, {})
    run, lost = tmp_path / "run", list[str]()

    def lose() -> None:
        for node in world.ready():
            if len(lost) < 2 and (run / f"checkpoints/{4 * len(lost) + 4:08d}/manifest.json").exists():
                lost.append(node.name)
                world.preempt(node.name)
        for request in world.requests:
            request.eligible |= len(lost) < 2 or request.spec["acceleratorType"] == sizes[-1]
        world.zones[ZONE].wait = 5 if len(lost) < 2 else 1e6
        world.grow(ZONE, None)

    keys = {"coordinator": free_port(), "run": str(run), "accelerators": sizes, "patience_minutes": 5}
    command = f"exec rosella train {little} --run {run}"
    ended, said = look_after(tmp_path, world, google, clock, hosts, command, lose, **keys)
    assert ended.ending and ended.ending.outcome == "done" and len(lost) == 2, said[-5:]
    return run, [bill.accelerator for bill in ended.bills]


@pytest.mark.slow
def test_a_real_training_that_loses_its_slices_has_the_same_weights_bit_for_bit(
    tmp_path, world, google, clock, hosts, little, undisturbed
):
    run, sizes = disturbed(tmp_path, world, google, clock, hosts, little, ["v4-16"])
    assert sizes == ["v4-16"] * 3
    assert_same_weights(run, undisturbed)


@pytest.mark.slow
def test_on_another_size_it_sees_the_same_batches_and_learns_the_same(
    tmp_path, world, google, clock, hosts, little, undisturbed
):
    """Sums are taken in another order there, and Adam takes a step of its rate also for the smallest gradient."""
    run, sizes = disturbed(tmp_path, world, google, clock, hosts, little, ["v4-16", "v4-8"])
    assert sizes == ["v4-16", "v4-16", "v4-8"]
    losses = [
        [values["loss"] for values in read_metrics(each / "metrics.jsonl") if values["split"] == "train"]
        for each in (run, undisturbed)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    found, expected = (
        np.concatenate([values.ravel() for _, values in sorted(load_weights(each / "model").items())])
        for each in (run, undisturbed)
    )
    apart = np.abs(found - expected)
    assert np.mean(apart < 1e-5) > 0.999 and apart.max() < 12 * 1e-4


@pytest.mark.slow
def test_a_hundred_preemptions_of_a_real_training_have_the_same_weights_bit_for_bit(
    tmp_path, world, google, clock, hosts
):
    """Most within two seconds after a checkpoint, every sixth while hosts install, begin or compile."""
    recipe, run = write_little(tmp_path, steps=800), tmp_path / "run"
    RealHosts(world, hosts, {})
    chance, before = random.Random(6), dict[str, int]()

    def begins(name: str) -> bool:
        saved = max(
            (int(each.parent.name) for each in run.glob("checkpoints/[0-9]*/manifest.json")), default=0
        )
        before.setdefault(name, -1 if chance.random() < 1 / 6 else saved)
        return saved > before[name]

    taken = Preemptions(world, 6, 100, (0, 120), begins)
    keys = {"coordinator": free_port(), "run": str(run)}
    command = f"exec rosella train {recipe} --run {run}"
    ended, said = look_after(tmp_path, world, google, clock, hosts, command, taken, **keys)
    assert ended.ending and ended.ending.outcome == "done", said[-5:]
    assert taken.left == 0 and len(ended.bills) == ended.preemptions + 1 == 101
    assert_same_weights(run, alone(recipe))


def assert_same_weights(found: Path, expected: Path) -> None:
    here, there = load_weights(found / "model"), load_weights(expected / "model")
    assert here.keys() == there.keys()
    for name, values in there.items():
        np.testing.assert_array_equal(here[name], values, err_msg=name)


def load_weights(model: Path) -> dict[str, np.ndarray]:
    (file,) = model.glob("*.safetensors")
    return load_file(file)
