"""Errors become one sentence and the right exit code; checked in a process of its own, as a shell sees it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import rosella as package
from support import environment, python, rosella

# Runs the real command line with one more verb, `fail`, whose body is given.
PROGRAM = """
import sys
import rosella.cli as cli
from rosella.errors import RosellaError, UserError

def fail():
    {body}

build_app = cli.build_app
def with_fail():
    app = build_app()
    app.command("fail")(fail)
    return app
cli.build_app = with_fail
cli.main()
"""


def fail_with(body: str, *options: str) -> subprocess.CompletedProcess[str]:
    return python("-c", PROGRAM.format(body=body), "fail", *options)


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("raise UserError('Line 3 has no text: add one.')", 2, "Line 3 has no text: add one."),
        ("raise RosellaError('3 of 3 recordings failed.')", 1, "3 of 3 recordings failed."),
        ("raise KeyboardInterrupt", 130, "Interrupted; run the same command again to resume."),
        ("open('/dev/full', 'w').write('x' * 100_000)", 1, "The disk is full: free some space"),
        ("raise RosellaError('No checkpoint was saved.') from OSError(28, 'x')", 1, "The disk is full"),
        ("raise Exception('(sqlite3) database or disk is full')", 1, "The disk is full"),
        ("raise UserError('Cannot write a.wav.') from OSError(28, 'x')", 1, "The disk is full"),
        (
            "open('/dev/null/here', 'w')",
            2,
            "/dev/null/here cannot be used (Not a directory): check its permissions",
        ),
        ("[][3]", 1, "IndexError: list index out of range; run again with --debug for the traceback."),
        ("raise ValueError", 1, "ValueError; run again"),
    ],
)
def test_an_error_is_one_sentence_with_its_exit_code(body: str, code: int, sentence: str) -> None:
    done = fail_with(body)
    assert done.returncode == code
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_debug_shows_the_traceback_wherever_it_stands_and_keeps_the_exit_code() -> None:
    done = fail_with("raise UserError('Wrong.')", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.strip().endswith("rosella: Wrong.")


def test_debug_after_a_double_dash_is_an_ordinary_argument() -> None:
    assert fail_with("pass", "--", "--debug").returncode == 2  # the verb takes no argument


def test_ctrl_c_ends_with_130_and_says_how_to_go_on() -> None:
    body = "import time; print('started', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", PROGRAM.format(body=body), "fail"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "started\n"
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert errors == "Interrupted; run the same command again to resume.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["spaek"], "No such command 'spaek'"), (["doctor", "--jsn"], "No such option")],
)
def test_a_usage_error_ends_with_2(arguments: list[str], problem: str) -> None:
    done = rosella(*arguments)
    assert done.returncode == 2
    assert problem in done.stderr


def test_version_and_help() -> None:
    assert rosella("--version").stdout == f"rosella {package.__version__}\n"
    help_page = rosella("--help")
    assert help_page.returncode == 0
    assert "doctor" in help_page.stdout
