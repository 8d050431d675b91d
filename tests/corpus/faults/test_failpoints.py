from __future__ import annotations

import ast
import multiprocessing
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from corpus import pipeline
from rosella import failpoints
from rosella.corpus.project import Corpus
from rosella.corpus.stage import STAGES
from support import SOURCE

KILLABLE = multiprocessing.get_context("forkserver")
KILLABLE.set_forkserver_preload(["corpus.warm"])


def run(folder, manifest, **environment):
    """The exit status of a process that runs everything."""
    process = KILLABLE.Process(target=pipeline.everything, args=(folder, manifest, environment))
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def memory():
    """A folder in memory where there is one: what a killed process wrote survives it, synced or not."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def manifest(memory):
    return pipeline.source(memory / "source")


@pytest.fixture(scope="module")
def undisturbed(memory, manifest):
    """What an undisturbed run gives, and the points it passes."""
    folder = memory / "undisturbed"
    folder.mkdir()
    Corpus.open(memory / "empty", create=True).close()
    log = folder / "points"
    assert run(folder, manifest, ROSELLA_FAILPOINT_LOG=str(log)) == 0
    return pipeline.result(folder), log.read_text().split()


def second_times(points):
    """Each point when it is passed the second time, or the only one: something is done and something is not."""
    return list({point.split("#")[0]: point for point in points if int(point.split("#")[1]) <= 2}.values())


def differs(point, memory, manifest, expected):
    """Whether a run that is killed at a point and repeated gives something else than an undisturbed one."""
    folder = shutil.copytree(memory / "empty", memory / re.sub(r"\W", "-", point))
    assert run(folder, manifest, ROSELLA_FAILPOINT=point) == -signal.SIGKILL, point
    assert run(folder, manifest) == 0
    found = pipeline.result(folder)
    shutil.rmtree(folder)
    return found != expected


def test_killed_before_and_after_commits_of_every_stage_the_result_is_the_same(memory, manifest, undisturbed):
    """Every third boundary, which touches every stage; the slow test takes them all."""
    expected, points = undisturbed
    assert [p for p in second_times(points)[::3] if differs(p, memory, manifest, expected)] == []


@pytest.mark.slow
def test_killed_at_every_boundary_the_result_is_the_same(memory, manifest, undisturbed):
    expected, points = undisturbed
    assert [p for p in second_times(points) if differs(p, memory, manifest, expected)] == []


def test_every_failpoint_is_passed_and_around_every_stage(undisturbed):
    passed = {point.split("#")[0] for point in undisturbed[1]}
    assert {name.split("@")[0] for name in passed} == set(failpoints.NAMES)
    around = {"after-claim", "after-run", "in-commit", "after-commit"}
    assert {f"{name}@{stage}" for name in around for stage in STAGES[1:]} <= passed
    assert {"in-commit@scan", "after-commit@scan"} <= passed


def test_every_failpoint_in_the_code_is_enumerated():
    calls = {
        node.args[0].value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint"
    }
    assert calls == {*failpoints.NAMES, *failpoints.OF_A_POD}
