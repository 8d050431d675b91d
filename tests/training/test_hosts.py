from __future__ import annotations

import jax
import numpy as np
import pytest

from rosella.training import hosts


@pytest.mark.parametrize(
    ("environment", "given"),
    [
        ({}, None),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_STEP_NUM_TASKS": "4"}, {}),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, {}),
        ({hosts.ADDRESS: "a:1"}, {"num_processes": None, "process_id": None}),
        (
            {hosts.ADDRESS: "a:1", hosts.NUMBER: "2", hosts.INDEX: "1"},
            {"num_processes": 2, "process_id": 1},
        ),
    ],
)
def test_a_process_joins_others_only_where_it_is_told_of_them(monkeypatch, environment, given):
    called = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **known: called.append(known))
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    for name in (hosts.ADDRESS, hosts.NUMBER, hosts.INDEX, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hosts.join()
    expected = [] if given is None else [{"shutdown_timeout_seconds": 30, **given}]
    assert called == expected


def test_a_process_alone_agrees_with_itself_at_once():
    agree = hosts.Agreement()
    assert hosts.first() and not hosts.several()
    assert [agree(True, False), agree(False, True)] == [(True, False), (False, True)]
    assert hosts.any_says(True) and not hosts.any_says(False)
    np.testing.assert_array_equal(hosts.whole(jax.numpy.arange(3)), np.arange(3))
