from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rosella.errors import UserError
from rosella.model.config import dia_1_6b
from rosella.training.mesh import Rows, check_mesh, choose_mesh
from rosella.training.recipe import MeshRecipe
from training import tiny
from training.devices import LAYOUTS

ROOT = Path(__file__).parents[2]


def together(export, folder, scenario, processes=2, devices=4):
    """The same by several processes that find each other, with so many devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    running = []
    for number in range(processes):
        known = {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(processes),
            "JAX_PROCESS_ID": str(number),
        }
        command = [sys.executable, "-m", "training.devices", export.directory, str(folder), scenario]
        running.append(subprocess.Popen(command, env=environment(devices) | known))
    assert [process.wait(timeout=600) for process in running] == [0] * processes
    return json.loads((folder / f"{scenario}.json").read_text())


def environment(devices):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "XLA_FLAGS": flags}


def scene(export, folder, scenario, devices=8):
    """What a scenario of `devices.py` saw, in a process with so many virtual devices."""
    command = [sys.executable, "-m", "training.devices", export.directory, str(folder), scenario]
    done = subprocess.run(command, env=environment(devices), stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert "Involuntary full rematerialization" not in done.stderr
    return json.loads((folder / f"{scenario}.json").read_text())


def assert_close(found, expected):
    """Lines of metrics that say the same, numbers to 1e-5."""
    assert [line[:2] for line in found] == [line[:2] for line in expected]
    for line, wanted in zip(found, expected, strict=True):
        for value, number in zip(line[2:], wanted[2:], strict=True):
            if number is not None:
                np.testing.assert_allclose(value, number, rtol=1e-5, err_msg=str(wanted[:2]))


@pytest.mark.slow
def test_one_to_eight_devices_see_the_same_batches_and_losses(tmp_path, export):
    alone, *others = scene(export, tmp_path, "layouts")
    assert len(LAYOUTS) == 1 + len(others) and len(alone["batches"]) >= 8
    for other in others:
        assert other["batches"] == alone["batches"]
        assert_close(other["losses"], alone["losses"])


@pytest.mark.slow
def test_a_run_goes_on_on_fewer_devices(tmp_path, export):
    on_eight, *fewer = scene(export, tmp_path, "elastic")
    assert [line[1] for line in on_eight if line[0] == "train"] == list(range(1, 9))
    for found in fewer:
        assert_close(found, on_eight)


@pytest.mark.slow
def test_two_processes_of_four_devices_train_as_one(tmp_path, export):
    (tmp_path / "one").mkdir()
    alone = scene(export, tmp_path / "one", "shared", 1)
    found = together(export, tmp_path, "shared")
    assert [line[1] for line in alone["losses"] if line[0] == "train"] == [1, 2, 3, 4, 5, 6]
    assert_close(found["losses"], alone["losses"])
    np.testing.assert_allclose(found["spoken"], alone["spoken"], rtol=1e-4)
    for each in (alone, found):
        assert 2 < each["stopped"] < 6 and each["saved"][0] == each["stopped"]


@pytest.mark.slow
def test_no_device_ever_holds_a_whole_weight(tmp_path, export):
    """Loaded from a model directory, saved, and restored; in a step, one layer's after another."""
    seen = scene(export, tmp_path, "pieces")
    assert seen["same"] and seen["largest"] == seen["whole"] / 8
    assert [24, 40] in seen["gathered"] and not any(shape[0] == 10 for shape in seen["gathered"])


def test_unset_sizes_are_chosen_and_wrong_ones_refused():
    assert dict(choose_mesh(MeshRecipe()).shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    with pytest.raises(UserError, match=r"data 2 x fsdp 1 x tensor 1 takes 2 devices, but there are 1"):
        choose_mesh(MeshRecipe(data=2))


def test_sizes_that_the_model_does_not_allow_are_refused_without_a_device(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda *_: pytest.fail("a device was asked for"))
    check_mesh(MeshRecipe(data=7, fsdp=16, tensor=4), dia_1_6b())
    with pytest.raises(UserError, match=r"mesh\.tensor is 8, which does not divide the 4 heads of decoder"):
        check_mesh(MeshRecipe(tensor=8), dia_1_6b())
    with pytest.raises(UserError, match=r"mesh\.fsdp is 5, which does not divide the 24 embed of decoder"):
        check_mesh(MeshRecipe(fsdp=5), tiny.config())


def test_a_batch_is_completed_with_empty_rows():
    rows = Rows(choose_mesh(MeshRecipe()), accumulate=4)
    assert [rows.padded(size) for size in (1, 4, 6)] == [4, 4, 8]
    np.testing.assert_array_equal(rows.own(6), np.arange(8))
    placed = rows.place({"a": np.arange(16).reshape(8, 2)})
    np.testing.assert_array_equal(placed["a"], np.arange(16).reshape(8, 2))
