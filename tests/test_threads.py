from __future__ import annotations

import os
import subprocess
import sys

from rosella import threads
from rosella.corpus.workers.processes import side_by_side
from support import environment

SLEEPS, SPINS = "GOMP_SPINCOUNT = '0'", "GOMP_SPINCOUNT = '30000000000'"
"""How long idle threads look for work before they sleep. The policy itself reads PASSIVE where nothing is set, too."""


VERB = "from rosella.cli import main; main(['doctor', '--json'])"


def settings_of_openmp(program: str = VERB, **variables: str) -> str:
    """What OMP_DISPLAY_ENV has the OpenMP library say of itself, in a process of the command line or another."""
    command = [sys.executable, "-c", program]
    shown = {**environment(), "OMP_DISPLAY_ENV": "VERBOSE", **variables}
    return subprocess.run(command, env=shown, capture_output=True, text=True).stderr


def threads_of_torch(folder, flag):
    import torch

    (folder / f"{os.getpid()} {torch.get_num_threads()}").touch()


def test_idle_threads_of_every_verb_sleep(monkeypatch):
    monkeypatch.delenv(threads.WAITING, raising=False)
    assert SLEEPS in settings_of_openmp()


def test_idle_threads_of_a_program_that_loads_a_voice_sleep(monkeypatch):
    monkeypatch.delenv(threads.WAITING, raising=False)
    assert SLEEPS in settings_of_openmp("import rosella; rosella.load('mini')")


def test_who_sets_how_threads_wait_is_obeyed():
    assert SPINS in settings_of_openmp(OMP_WAIT_POLICY="ACTIVE")


def test_processes_side_by_side_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv(threads.COUNT, raising=False)
    processes = threads.cores()
    with side_by_side(threads_of_torch, [(tmp_path,)] * processes) as at_work:
        while at_work():
            pass
    assert [file.name.split()[1] for file in tmp_path.iterdir()] == ["1"] * processes
    assert threads.COUNT not in os.environ


def test_one_process_has_all_cores(tmp_path, monkeypatch):
    monkeypatch.delenv(threads.COUNT, raising=False)
    with threads.shared_by(1):
        assert os.environ[threads.COUNT] == str(threads.cores())
