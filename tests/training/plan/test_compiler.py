from __future__ import annotations

import subprocess

import pytest

from rosella.errors import RosellaError, UserError
from rosella.training.plan import compiler
from rosella.training.plan.compiling import Memory, Request

REQUEST = Request({}, {}, 4, 24, 16, 1, {"topology_name": "v4:2x2x1"})


@pytest.fixture
def child(monkeypatch):
    """A compiler that ends so; returns the environments it was started in."""
    started = []

    def ends(code, out="", err=""):
        def run(command, env, **how):
            started.append(env)
            return subprocess.CompletedProcess(command, code, out, err)

        monkeypatch.setattr(compiler.subprocess, "run", run)
        return started

    return ends


def test_the_last_line_is_the_answer_and_no_tpu_is_looked_for(child):
    started = child(
        0, 'libtpu says something\n{"needed": 3, "arguments": 1, "temporaries": 2, "room": null}\n'
    )
    assert compiler.ask(REQUEST) == Memory(3, 1, 2)
    assert started[0]["JAX_PLATFORMS"] == "cpu" and started[0]["TPU_SKIP_MDS_QUERY"] == "1"
    assert started[0]["ALLOW_MULTIPLE_LIBTPU_LOAD"] == "1"


def test_what_fails_is_said_in_one_sentence(child):
    child(1, err="Traceback\n  many lines\nValueError: no such topology\n")
    with pytest.raises(
        RosellaError, match="could not be compiled for this hardware: ValueError: no such topology"
    ):
        compiler.ask(REQUEST)
    child(-9)
    with pytest.raises(RosellaError, match="exit code -9"):
        compiler.ask(REQUEST)


def test_without_libtpu_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"compile for v4-32, libtpu must be there.*pip install 'rosella-tts\[tpu\]'"
    ):
        compiler.require_libtpu("v4-32")
