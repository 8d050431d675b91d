"""The command `rosella`: one file per verb group, and how errors become sentences and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

import rosella
from rosella import stopping, threads
from rosella.errors import INTERRUPTED, UserError, explain
from rosella.shown import lines_shown
from rosella.streams import outlive_readers

VERB_FILES = (
    "demo",
    "corpus",
    "annotate",
    "asr",
    "codec",
    "train",
    "plan",
    "tpu",
    "speak",
    "voice",
    "serve",
    "convert",
    "parity",
    "evaluate",
    "steady",
    "doctor",
)


def build_app() -> typer.Typer:
    """The Typer application with every verb registered; verbs import what is heavy when they run."""
    app = typer.Typer(
        name="rosella",
        help=rosella.__doc__,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in VERB_FILES:
        importlib.import_module(f"rosella.cli.{name}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed run, 2 the user's mistake; interrupted 130, 143 or 129."""
    outlive_readers()
    with stopping.interrupting():
        _main(*_take_debug(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: Sequence[str], debug: bool) -> None:
    try:
        read_dotenv(Path(".env"))
        threads.wait_asleep()
        typer.main.get_command(build_app())(arguments, prog_name="rosella")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            _interrupted()
        raise
    except KeyboardInterrupt:
        _interrupted()
    except Exception as error:
        if debug:
            traceback.print_exc()
            for detail in error.details if isinstance(error, UserError) else ():
                print(detail, file=sys.stderr)
        sentence, code = explain(error)
        print(f"rosella: {lines_shown(sentence)}", file=sys.stderr)
        sys.exit(code)


def read_dotenv(path: Path) -> None:
    """Put the `NAME=value` lines of a file into the environment, where they are not yet; credentials live there."""
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals or not name.strip().isidentifier():
            raise UserError(f"Line {number} of {path} is not NAME=value: correct it.")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        os.environ.setdefault(name.strip(), value[1:-1] if quoted else value)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rosella {rosella.__version__}")
        raise typer.Exit


def _options(
    debug: bool = typer.Option(
        False, "--debug", help="Show the traceback of an error, and all that is wrong with a source."
    ),
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_version
    ),
) -> None:
    pass


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """`--debug` may stand anywhere before a `--`, since one adds it to a command that just failed."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    head = [argument for argument in arguments[:end] if argument != "--debug"]
    return [*head, *arguments[end:]], len(head) < end


def _interrupted() -> NoReturn:
    print(stopping.SENTENCE, file=sys.stderr)
    stopping.end_quietly()
    sys.exit(stopping.exit_code())
