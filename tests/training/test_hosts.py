from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import jax
import numpy as np
import pytest

from rosella import devices, torchrun
from rosella.errors import UserError
from rosella.training import hosts
from support import environment

SLURM = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
OPENMPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
TORCHRUN = {"WORLD_SIZE": "8", "RANK": "5", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}
AGENT = TORCHRUN | {"LOCAL_RANK": "5", "LOCAL_WORLD_SIZE": "8", "TORCHELASTIC_USE_AGENT_STORE": "True"}


@pytest.fixture
def joined(monkeypatch):
    """What a process with this environment, on a machine with so many cards, asks of JAX; None when it stays alone."""

    def join(environment, cards=0):
        called = []
        monkeypatch.setattr(jax.distributed, "initialize", lambda **known: called.append(known))
        monkeypatch.setattr(jax.config, "update", lambda *_: None)
        monkeypatch.setattr(hosts.os, "environ", environment)
        monkeypatch.setattr(torchrun, "agreed_port", lambda: nullcontext("free"))
        monkeypatch.setattr(devices, "cards", lambda: [80 << 30] * cards)
        hosts.join()
        (asked,) = called or [None]
        assert asked is None or asked.pop("shutdown_timeout_seconds") == 30
        return asked

    return join


@pytest.mark.parametrize(
    ("environment", "given"),
    [
        ({}, None),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),
        (SLURM, {}),
        (OPENMPI, {}),
        ({hosts.ADDRESS: "a:1"}, {"num_processes": None, "process_id": None}),
        (
            {hosts.ADDRESS: "a:1", hosts.NUMBER: "2", hosts.INDEX: "1"},
            {"num_processes": 2, "process_id": 1},
        ),
        (TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"RANK": "0", "WORLD_SIZE": "8"}, None),
        (TORCHRUN, {"coordinator_address": "first:29500", "num_processes": 8, "process_id": 5}),
    ],
)
def test_a_process_joins_others_only_where_it_is_told_of_them(joined, environment, given):
    assert joined(environment) == (None if given is None else {"local_device_ids": [], **given})


@pytest.mark.parametrize(
    ("environment", "joins"),
    [
        ({}, True),
        ({"TPU_SKIP_MDS_QUERY": "1"}, False),
        ({"TPU_SKIP_MDS_QUERY": "true", "TPU_WORKER_HOSTNAMES": "a,b"}, True),  # GKE
    ],
)
def test_a_machine_with_chips_may_be_one_of_a_slice(monkeypatch, joined, environment, joins):
    monkeypatch.setattr(hosts, "_has_chips", lambda: True)
    monkeypatch.setattr(hosts.importlib.util, "find_spec", lambda name: name == "libtpu" or None)
    assert joined(environment) == ({"local_device_ids": []} if joins else None)


def test_torchrun_started_by_slurm_knows_more_than_slurm(joined):
    assert joined(SLURM | TORCHRUN)["num_processes"] == 8
    assert joined(SLURM | TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"}) is None


def test_where_torchrun_itself_listens_nobody_else_does(joined):
    assert joined(AGENT)["coordinator_address"] == "first:free"
    assert joined(AGENT | {"JAX_COORDINATOR_PORT": "4321"})["coordinator_address"] == "first:4321"


@pytest.mark.parametrize(
    ("environment", "cards", "own"),
    [
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x4)", "SLURM_LOCALID": "0", "SLURM_NODEID": "3"}, 8, []),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_LOCALID": "3"}, 4, [3]),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_NODEID": "1"}, 8, [4, 5, 6, 7]),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x2),2", "SLURM_NODEID": "2"}, 8, [4, 5, 6, 7]),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_NODEID": "1", "CUDA_VISIBLE_DEVICES": "6,7"}, 8, [1]),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "4", "CUDA_VISIBLE_DEVICES": "3"}, 8, []),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_GPUS_PER_TASK": "4", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}, 8, []),
        (AGENT, 8, [5]),
        (AGENT, 0, []),
        (AGENT | {"CUDA_VISIBLE_DEVICES": "-1"}, 8, []),
        (TORCHRUN, 8, []),
        (TORCHRUN | {"LOCAL_RANK": "5"}, 8, [5]),
        (OPENMPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}, 8, [4, 5, 6, 7]),
    ],
)  # fmt: skip
def test_processes_of_a_machine_share_its_cards_and_one_alone_has_them_all(joined, environment, cards, own):
    assert joined(environment, cards)["local_device_ids"] == own


def test_whose_cards_are_said_keeps_them_and_what_does_not_divide_is_refused(joined):
    uneven = AGENT | {"LOCAL_WORLD_SIZE": "8", "LOCAL_RANK": "5"}
    assert "local_device_ids" not in joined(uneven | {hosts.OWN: "0,1"}, 6)
    with pytest.raises(
        UserError, match="8 processes on this machine cannot share its 6 cards evenly: start one"
    ):
        joined(uneven, 6)


def test_processes_of_a_real_torchrun_find_each_other(tmp_path):
    script = tmp_path / "joins.py"
    script.write_text(
        "from rosella.training import hosts; hosts.join(); import jax\n"
        "import os\nsaid = f'{jax.process_index()} of {jax.process_count()} with {jax.device_count()}\\n'\n"
        "os.write(1, said.encode())  # at once, lest the other's come between\n"
    )
    torchrun = Path(sys.executable).with_name("torchrun")
    command = [torchrun, "--standalone", "--nproc-per-node=2", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["0 of 2 with 2", "1 of 2 with 2"]


def test_a_process_alone_agrees_with_itself_at_once():
    agree = hosts.Agreement()
    assert hosts.first() and not hosts.several()
    assert [agree(True, False), agree(False, True)] == [(True, False), (False, True)]
    assert hosts.any_says(True) and not hosts.any_says(False)
    np.testing.assert_array_equal(hosts.whole(jax.numpy.arange(3)), np.arange(3))
