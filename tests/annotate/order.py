"""Annotators at work on a planted corpus: by the queue, or in the order of the recordings."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from annotate.planted import Annotator, Truth
from rosella.annotate import queue, twice
from rosella.corpus.catalogue.corrections import Change, Stale, read, save
from rosella.corpus.catalogue.store import Catalogue

REFRESH = 10
"""Clips after which the queue is brought up to date, as a server does in the background."""


@dataclass(frozen=True)
class Done:
    """A clip that somebody has done: seconds of work, its length, errors found, and when (seconds of all work before)."""

    clip: str
    seconds: float
    length: float
    errors: int


def by_queue(catalogue: Catalogue, truth: Truth, people: Sequence[Annotator]) -> Iterator[Done]:
    """Whoever is free first takes what the queue has for them, until it is empty."""
    spent, number = dict.fromkeys([person.name for person in people], 0.0), 0
    waiting = list(people)
    while waiting:
        if number % REFRESH == 0:
            queue.refresh(catalogue)
        person = min(waiting, key=lambda person: spent[person.name])
        taken = queue.next_clip(catalogue, person.name, reviewer=True)
        if taken is None:
            waiting.remove(person)
            continue
        done = _correct(catalogue, truth, person, taken.clip)
        spent[person.name] += done.seconds
        number += 1
        yield done


def in_order(catalogue: Catalogue, truth: Truth, people: Sequence[Annotator]) -> Iterator[Done]:
    """Whoever is free first takes the next clip of the recordings."""
    spent = dict.fromkeys([person.name for person in people], 0.0)
    for id in truth.states:
        person = min(people, key=lambda person: spent[person.name])
        clip = read(catalogue, id)
        _, seconds = person.correct(clip, truth)
        spent[person.name] += seconds
        yield Done(id, seconds, clip.draft.end - clip.draft.start, truth.errors(clip))


def errors_an_hour(done: Sequence[Done], seconds: float) -> float:
    """Errors found in so many seconds of all people's work; of the last clip its share."""
    left, errors = seconds, 0.0
    for clip in done:
        errors += clip.errors * min(1.0, left / clip.seconds)
        left -= clip.seconds
        if left <= 0:
            break
    return 3600 * errors / (seconds - max(left, 0.0))


def _correct(catalogue: Catalogue, truth: Truth, person: Annotator, id: str) -> Done:
    clip = twice.seen_by(catalogue, read(catalogue, id), person.name)
    after, seconds = person.correct(clip, truth)
    change = Change(id, clip.version, after, "accept")
    errors = truth.errors(clip)
    try:
        if twice.save_second(catalogue, person.name, change, seconds) is None:
            also = partial(queue.settle, author=person.name)
            save(catalogue, person.name, [change], str(uuid.uuid4()), seconds, also=also)
        else:
            errors = 0  # found before
    except Stale:
        errors = 0
    return Done(id, seconds, clip.draft.end - clip.draft.start, errors)
