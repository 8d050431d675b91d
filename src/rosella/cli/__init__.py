"""The command `rosella`: one file per verb group, and how errors become sentences and exit codes."""

from __future__ import annotations

import atexit
import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import typer

import rosella
from rosella import stopping, threads
from rosella.cli.streams import outlive_readers
from rosella.errors import RosellaError, UserError
from rosella.shown import lines_shown

VERB_FILES = ("demo", "corpus", "asr", "codec", "train", "speak", "convert", "parity", "evaluate", "doctor")

INTERRUPTED = 130
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
_NOT_TO_BE_USED = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
_FULL_DISK_TEXTS = ("No space left on device", "database or disk is full")


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


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence a person reads for `error`, and the exit code."""
    if any(_is_full_disk(link) for link in _chain(error)):
        return "The disk is full: free some space, then run the same command again to resume.", 1
    if isinstance(error, UserError):
        return str(error), 2
    if isinstance(error, RosellaError):
        return str(error), 1
    if isinstance(error, OSError) and error.errno in _NOT_TO_BE_USED and error.filename is not None:
        return (
            f"{error.filename} cannot be used ({error.strerror}): check its permissions, or name another place.",
            2,
        )
    text = " ".join(str(error).split())
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"Stopped by an unexpected {named}; run again with --debug for the traceback.", 1


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
    atexit.register(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # who asks again while it ends sees no traceback
    sys.exit(stopping.exit_code())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full_disk(error: BaseException) -> bool:
    """True for the operating system's error, and for libraries that only pass its text on."""
    if isinstance(error, OSError) and error.errno in _FULL_DISK:
        return True
    return any(text in str(error) for text in _FULL_DISK_TEXTS)
