"""The two errors a person sees: one sentence that says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class RosellaError(Exception):
    """A run that failed; the command line ends with exit code 1."""


class UserError(RosellaError):
    """Bad input; the command line prints the sentence and ends with exit code 2.

    `details` are what the sentence sums up; the command line prints them too with `--debug`.
    """

    def __init__(self, sentence: str, details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.details = tuple(details)
