"""Signals to real processes: whatever tells a run to stop acts as Ctrl-C does."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus.fakes import FakeCodec, small_source
from rosella.corpus.catalogue.tables import JobRow
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.stopping import SENTENCE
from support import environment

PROGRAM = str(Path(__file__).parents[1] / "at_work.py")


@pytest.fixture
def folder(tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as corpus:
        corpus.add(small_source(tmp_path / "source", 2))
    return tmp_path / "corpus"


def start(folder, how="sleeps", *options, **keywords):
    """The command, once it is encoding."""
    mark = folder / "at-work"
    mark.unlink(missing_ok=True)
    more = {"AT_WORK": str(mark), "HOW": how, "PATIENCE": "0.3"}
    path = os.pathsep.join([str(Path(PROGRAM).parents[1]), environment()["PYTHONPATH"]])
    run = subprocess.Popen(
        [sys.executable, PROGRAM, "corpus", "run", "--corpus", str(folder), *options],
        env={**environment(), **more, "PYTHONPATH": path},
        **{"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **keywords},
    )
    while not mark.exists() and run.poll() is None:
        time.sleep(0.02)
    return run


def attempts(folder):
    """How many times work on some recording counts, and whether anything is still held."""
    import sqlalchemy as sa

    with Corpus.open(folder) as corpus, corpus.catalogue.session() as session:
        rows = session.execute(sa.select(JobRow.attempts, JobRow.expires)).all()
    return sum(row.attempts for row in rows), any(row.expires > 0 for row in rows)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_tells_a_run_to_stop_costs_no_attempt(folder, number):
    run = start(folder)
    run.send_signal(number)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert errors.splitlines()[-1] == SENTENCE
    assert "Traceback" not in errors
    assert attempts(folder) == (0, False)
    with Corpus.open(folder) as corpus:
        assert corpus.run(Models(FakeCodec())).failed == []


def test_native_code_that_hangs_is_left_after_a_while(folder):
    run = start(folder, "hangs")
    run.terminate()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 143
    assert errors.splitlines()[-1] == SENTENCE
    assert attempts(folder) == (0, False)


def test_a_terminal_that_is_closed_gives_back_what_is_at_hand(folder):
    ours, theirs = pty.openpty()
    run = start(
        folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: own_terminal(theirs),
    )
    os.close(theirs)
    os.close(ours)
    assert run.wait(60) == 129
    assert attempts(folder) == (0, False)


def own_terminal(terminal):
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_under_nohup_a_run_outlives_its_terminal(folder):
    ours, theirs = pty.openpty()

    def deaf():
        own_terminal(theirs)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    run = start(folder, "works", stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=deaf)
    os.close(theirs)
    os.close(ours)
    assert run.wait(60) == 0
    with Corpus.open(folder) as corpus:
        assert corpus.status().stages["tokenize"] == {"done": 2}
