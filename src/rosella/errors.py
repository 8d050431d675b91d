"""The errors a person sees: one sentence that says what is wrong and what to do, and the exit code that goes with it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

FAILED, MISTAKEN, INTERRUPTED = 1, 2, 130
"""Exit codes of a run that failed, of one that could not begin as it was asked for, and of one that was stopped."""

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_DISK_TEXTS = ("No space left on device", "database or disk is full")
_NOT_TO_BE_USED = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


class RosellaError(Exception):
    """A run that failed; the command line ends with exit code 1."""


class UserError(RosellaError):
    """Bad input; the command line prints the sentence and ends with exit code 2.

    `details` are what the sentence sums up; the command line prints them too with `--debug`.
    """

    def __init__(self, sentence: str, details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.details = tuple(details)


class NoSpace(RosellaError):
    """The disk is full. What is done is kept."""


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence a person reads for `error`, and the exit code."""
    if any(is_full_disk(link) for link in _chain(error)):
        return "The disk is full: free some space, then run the same command again to resume.", FAILED
    if isinstance(error, RosellaError):
        return str(error), MISTAKEN if isinstance(error, UserError) else FAILED
    if isinstance(error, OSError) and error.errno in _NOT_TO_BE_USED and error.filename is not None:
        sentence = f"{error.filename} cannot be used ({error.strerror}): check its permissions, or name another place."
        return sentence, MISTAKEN
    text = " ".join(str(error).split())
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"Stopped by an unexpected {named}; run again with --debug for the traceback.", FAILED


def is_full_disk(error: BaseException) -> bool:
    """True for the operating system's error, and for those of libraries that only pass its text on."""
    if isinstance(error, OSError) and error.errno in _FULL_DISK:
        return True
    return any(text in str(error) for text in _FULL_DISK_TEXTS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
