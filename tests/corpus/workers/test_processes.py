from __future__ import annotations

import os
import signal
import time

import pytest

from rosella.corpus.workers.processes import MAX_DEATHS, loading, side_by_side
from rosella.errors import RosellaError


def noted(folder):
    """How often it was called, this time included."""
    (folder / str(os.getpid())).touch()
    return len(list(folder.iterdir()))


def killed_while_loading(folder, flag):
    noted(folder)
    with loading(flag):
        os.kill(os.getpid(), signal.SIGKILL)


def killed_at_work(folder, flag):
    with loading(flag):
        pass
    if noted(folder) <= MAX_DEATHS + 1:
        os.kill(os.getpid(), signal.SIGKILL)


def until_done(target, folder):
    with side_by_side(target, [(folder,)]) as at_work:
        while at_work():
            time.sleep(0.02)


def test_a_process_that_cannot_load_its_models_is_given_up(tmp_path):
    with pytest.raises(
        RosellaError, match=r"ended \(-9\) 3 times while it loaded its models: give .* memory"
    ):
        until_done(killed_while_loading, tmp_path)
    assert len(list(tmp_path.iterdir())) == MAX_DEATHS


def test_a_process_that_dies_at_work_is_started_as_often_as_it_takes(tmp_path):
    until_done(killed_at_work, tmp_path)
    assert len(list(tmp_path.iterdir())) == MAX_DEATHS + 2
