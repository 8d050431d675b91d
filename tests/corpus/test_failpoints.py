from __future__ import annotations

import ast
import multiprocessing
import re
import shutil
import signal

import pytest

from corpus import pipeline
from rosella.corpus import failpoints
from rosella.corpus.catalogue.store import STAGES
from rosella.corpus.project import Corpus
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
def manifest(tmp_path_factory):
    return pipeline.source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, manifest):
    """What an undisturbed run gives, and the points it passes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    log = folder / "points"
    assert run(folder, manifest, ROSELLA_FAILPOINT_LOG=str(log)) == 0
    return pipeline.result(folder), log.read_text().split()


def chosen(points, every):
    """The second time each is passed, or the only one: something is done and something is not."""
    last = {}
    for point in points:
        name, number = point.split("#")
        if every or int(number) <= 2:
            last[point if every else name] = point
    return list(last.values())


def killed_and_repeated(tmp_path, manifest, undisturbed, every):
    expected, points = undisturbed
    Corpus.open(tmp_path / "empty", create=True).close()
    wrong = []
    for point in chosen(points, every):
        folder = shutil.copytree(tmp_path / "empty", tmp_path / re.sub(r"\W", "-", point))
        assert run(folder, manifest, ROSELLA_FAILPOINT=point) == -signal.SIGKILL, point
        assert run(folder, manifest) == 0
        if pipeline.result(folder) != expected:
            wrong.append(point)
    assert wrong == []


def test_killed_at_every_kind_of_boundary_the_result_is_the_same(tmp_path, manifest, undisturbed):
    killed_and_repeated(tmp_path, manifest, undisturbed, every=False)


@pytest.mark.slow
def test_killed_every_single_time_the_result_is_the_same(tmp_path, manifest, undisturbed):
    killed_and_repeated(tmp_path, manifest, undisturbed, every=True)


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
    assert calls == set(failpoints.NAMES)
