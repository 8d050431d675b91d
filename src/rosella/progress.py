"""What long work tells while it goes on: how far it is (`Progress`), or what a training measures (`Report`)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """Hears how many of the work's parts are done, and of what is done a word for people."""

    def __call__(self, done: int, note: str = "", /) -> None: ...


ShowProgress = Callable[[str, int], AbstractContextManager[Progress]]
"""`show(title, total)`: the progress of work that knows only on its way how many parts it has."""

Report = Callable[[dict[str, Any]], None]
"""Hears every line of a training's `metrics.jsonl`, and `{"note": sentence}`."""


def unheard(done: int, note: str = "", /) -> None:
    """Progress that nobody hears."""


@contextmanager
def unseen(title: str, total: int) -> Generator[Progress]:
    """Progress that nobody is shown."""
    yield unheard


def unread(values: dict[str, Any]) -> None:
    """A report that nobody reads."""
