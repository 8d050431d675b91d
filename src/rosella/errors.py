"""The two errors a person sees: one sentence that says what is wrong and what to do."""

from __future__ import annotations


class RosellaError(Exception):
    """A run that failed; the command line ends with exit code 1."""


class UserError(RosellaError):
    """Bad input; the command line prints the sentence and ends with exit code 2."""
