"""Somebody who corrects the demo podcast with planted errors at the real page, by keyboard alone, in a headless Chromium.

usage: python benchmarks/annotating.py [CLIPS] [SEEDS]   (60 clips, 4 seeds)

Measured: the keys that each correction takes, from the last key on a clip until the next one sounds, and until it is saved;
a person works longer on a clip than the page needs to fetch the next, so that is waited for. Modelled: the person, who
hears a clip once as it was spoken, stops at a wrong word 0.3 to 0.5 s after it was said, finds its place, hears on from
there, and needs so long for a key (`PEOPLE`). When words are said is known from espeak-ng (tools/mini), which said them;
the page only guesses. How long it takes is told for those who hear more again, too (`AGAIN`).
The queue is compared with the same page and all its fetching ahead, given the clips in the order of the recordings.
"""

from __future__ import annotations

import itertools
import re
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from _machine import row
from selenium.webdriver import Chrome

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("tests", "tools")]

from annotate.planted import Truth, plant
from annotate.playing import CLOCK, Fix, Person, Player, Work
from annotate.small import serving
from annotate.working import Desk
from mini.espeak import Espeak, Voice
from rosella.annotate import app, queue
from rosella.annotate.desk import Desk as Server
from rosella.annotate.edits import edits
from rosella.corpus.catalogue.corrections import read
from rosella.corpus.catalogue.store import Catalogue
from rosella.records import Turn
from serve.browsing import chromium, leave

PEOPLE = {"usual": Person(), "slow": Person(key=0.4, finding=1.8)}
AGAIN: dict[str, Callable[[Fix], float]] = {
    "heard on from each word": lambda fix: fix.again,
    "two seconds heard again": lambda fix: min(fix.turn, 2.0),
    "the turn heard again for each correction": lambda fix: fix.turn,
}
REFRESH = 5.0
"""Real seconds after which the server weighs its queue anew; a person's 60 pass faster here."""


@dataclass(frozen=True)
class Done(Work):
    errors: int
    """That were found: words and speakers of the draft that are not so any more."""


def main() -> None:
    clips, seeds = (int(value) for value in [*sys.argv[1:], *("60", "4")[len(sys.argv) - 1 :]])
    all_done: list[Done] = []
    pairs: list[tuple[float, float]] = []
    espeak = Espeak()
    with tempfile.TemporaryDirectory() as folder:
        driver = chromium(Path(folder))
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
        try:
            for seed, (name, person) in itertools.product(range(seeds), PEOPLE.items()):
                told = f"annotating, {clips} clips, {name} person, seed {seed}"
                queued = list(worked(driver, Path(folder), espeak, person, clips, seed))
                half = sum(done.seconds for done in queued) / 2
                ordered = list(worked(driver, Path(folder), espeak, person, clips, seed, half))
                print(row(f"{told}, errors found", rates(queued, ordered, half)), flush=True)
                print(row(f"{told}, all by the queue", reached(queued)), flush=True)
                for heard, again in AGAIN.items():
                    print(row(f"{told}, work for its length, {heard}", shares(queued, again)), flush=True)
                all_done += queued + ordered
                pairs.append((an_hour(queued, half), an_hour(ordered, half)))
        finally:
            driver.quit()
    ours, theirs = (statistics.mean(side) for side in zip(*pairs, strict=True))
    told = f"{ours:.0f} an hour by the queue, {theirs:.0f} in order: {100 * (ours / theirs - 1):+.0f}%"
    print(row(f"annotating, {clips} clips, errors found, {len(pairs)} pairs of runs", told))
    for kind, result in keys(all_done):
        print(row(f"annotating, keys for a correction, {kind}", result))
    waits = [1000 * done.waited for done in all_done]
    saves = [1000 * done.saving for done in all_done]
    print(row("annotating, from the last key until the next clip sounds", spread(waits)))
    print(row("annotating, saving", spread(saves)))


def worked(
    driver: Chrome,
    folder: Path,
    espeak: Espeak,
    person: Person,
    clips: int,
    seed: int,
    ordered: float | None = None,
) -> Iterator[Done]:
    """All clips as they are done by the queue; or in order, until so many seconds of a person's work have gone."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        catalogue = Catalogue.open(f"sqlite:///{place}/catalogue.sqlite")
        truth = plant(catalogue, clips, max(2, clips // 12), seed, sound=Path(place))
        queue.refresh(catalogue)
        server = Server(catalogue, "podcast", place, local=True)
        order: AbstractContextManager[Any] = in_order(truth) if ordered else nullcontext()
        with order, patch.object(app, "_SOONEST", REFRESH), serving(server) as address:
            player = Player(Desk(driver, address, folder), person)
            spent = 0.0
            while player.clip and spent < (ordered or float("inf")):
                right = truth.states[player.clip]
                language = str(catalogue.get(read(catalogue, player.clip).recording).language)
                player.said = partial(word_ends, espeak, language)
                player.correct(right)
                done = player.finish(right)
                spent += done.seconds
                yield Done(**vars(done), errors=errors_found(catalogue, truth, done.clip))
            leave(driver)
        catalogue.close()


def word_ends(espeak: Espeak, language: str, turn: Turn) -> list[float]:
    """When the words of a turn end, seconds, as espeak-ng paces them; what it does not say ends with the word before."""
    spoken = re.sub(r"\(.*?\)", lambda event: " " * len(event[0]), turn.text)
    wave, begins = espeak.say_words(spoken, Voice(language))
    pace = (turn.end - turn.start) / (len(wave) / 16_000)
    known = {
        len(turn.text[:at].split()): turn.start + pace * max(0.0, begin) for at, begin in reversed(begins)
    }
    ends, end = [], turn.end
    for word in range(len(turn.text.split()), 0, -1):
        end = min(end, known.get(word, end))
        ends.append(end)
    return ends[::-1]


@contextmanager
def in_order(truth: Truth) -> Generator[None]:
    """The server's queue is the order of the recordings."""
    ids = list(truth.states)

    def following(database: Any, person: str, after: str | None = None, _: bool = False) -> Any:
        at = ids.index(after) + 1 if after else 0
        return queue.about(database, ids[at], person) if at < len(ids) else None

    with patch.object(queue, "next_clip", following):
        yield


def errors_found(catalogue: Catalogue, truth: Truth, id: str) -> int:
    """In a clip, all of which must be right now."""
    clip = read(catalogue, id)
    assert edits(clip.state, truth.states[id]).errors == 0, f"{id} is not right: {clip.state}"
    return edits(clip.draft, clip.state).errors


def rates(queued: Sequence[Done], ordered: Sequence[Done], budget: float) -> str:
    ours, theirs = an_hour(queued, budget), an_hour(ordered, budget)
    told = f"{ours:.0f} an hour by the queue, {theirs:.0f} in order: {100 * (ours / theirs - 1):+.0f}%"
    return f"{told}, in the first {budget / 60:.0f} minutes, half of the work"


def an_hour(done: Sequence[Done], budget: float) -> float:
    """Errors found in an hour, within some seconds of work; of the last clip its share."""
    left, errors = budget, 0.0
    for each in done:
        errors += each.errors * min(1.0, left / each.seconds)
        left -= each.seconds
        if left <= 0:
            break
    return 3600 * errors / (budget - max(left, 0.0))


def reached(done: Sequence[Done]) -> str:
    """How far one comes in twice the time that all clips last."""
    length = sum(each.length for each in done)
    errors, left = sum(each.errors for each in done), 2 * length
    found, clips = 0, 0
    for each in done:
        left -= each.seconds
        if left < 0:
            break
        found, clips = found + each.errors, clips + 1
    told = f"{errors} errors in {length:.0f} s of sound, one in {length / max(errors, 1):.1f} s"
    return f"{told}; after twice that time {100 * found / max(errors, 1):.0f}% are found, in {clips} of {len(done)} clips"


def shares(done: Sequence[Done], again: Callable[[Fix], float]) -> str:
    """Of the clips accepted as they were, of the third with most corrections for its length, and of all."""
    by_fixes = sorted(done, key=lambda each: len(each.fixes) / each.length)
    parts = {
        "accepted as they were": [each for each in done if not each.fixes],
        "the worst third": by_fixes[-(len(done) // 3) :],
        "all": done,
    }
    return ", ".join(f"{name} {times(part, again)} ({len(part)})" for name, part in parts.items())


def times(done: Sequence[Done], again: Callable[[Fix], float]) -> str:
    """Seconds of work for a second of sound, where so many are heard again for a correction."""
    if not done:
        return "none"
    more = sum(again(fix) - fix.again for each in done for fix in each.fixes)
    work = sum(each.seconds for each in done) + more
    return f"{work / sum(each.length for each in done):.2f} x"


def keys(done: Sequence[Done]) -> Iterator[tuple[str, str]]:
    by_kind = defaultdict(list)
    for each in done:
        for fix in each.fixes:
            by_kind[fix.kind].append(fix.keys)
    for kind, counts in sorted(by_kind.items()):
        yield kind, f"{statistics.mean(counts):.1f} (median {statistics.median(counts):.0f}, {len(counts)})"


def spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} ms (p95 {ordered[int(0.95 * (len(ordered) - 1))]:.0f} ms, {len(ordered)})"


if __name__ == "__main__":
    main()
