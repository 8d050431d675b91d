"""Ten clips, each wrong in another way, are corrected at the page without a mouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import soundfile
from selenium.webdriver import Chrome

from annotate.playing import CLOCK, Player, Work
from annotate.small import serving
from annotate.working import Desk
from corpus.fakes import save_tone, taken
from rosella.annotate.desk import Desk as Server
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.corrections.clip import ACCEPTED, REJECTED, ClipState
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.corpus.stage import STAGES, StageResult
from rosella.corpus.steps.scan import source_of
from rosella.corpus.tagging import written
from rosella.records import Recording, Turn, Utterance, utterance_id
from serve.browsing import chromium, leave

pytestmark = pytest.mark.browser

RECORDING, EVERY = "c" * 32, 6.0
"""Seconds from the start of a clip to that of the next."""
SAID = ("Eh, dank je wel voor de lekkere koffie.", "(laughs) Ik bak elke morgen vers brood.")
Turns = tuple[Turn, ...]


def right(start: float, *texts: str) -> Turns:
    """Turns of two people, with a quarter of a second between them."""
    starts = [start + 0.1 + 2.0 * number for number in range(len(texts))]
    return tuple(
        Turn(round(at, 3), round(at + 1.75, 3), "AB"[number % 2], text, clean(text))
        for number, (at, text) in enumerate(zip(starts, texts, strict=True))
    )


def clean(text: str) -> str:
    return remove_disfluencies(text, fillers("nl"))


def said(turns: Turns, old: str, new: str) -> Turns:
    """With other words in the second turn, or the first."""
    texts = [turn.text.replace(old, new, 1) for turn in turns]
    return tuple(
        replace(turn, text=text, text_clean=clean(text)) for turn, text in zip(turns, texts, strict=True)
    )


def one(turns: Turns) -> Turns:
    """All in one turn of the first speaker."""
    text = " ".join(turn.text for turn in turns)
    return (replace(turns[0], end=turns[-1].end, text=text, text_clean=clean(text)),)


def touching(turns: Turns) -> Turns:
    return (replace(turns[0], end=turns[1].start), turns[1])


@dataclass(frozen=True)
class Flaw:
    """What a draft makes of the right turns, and the most keys that putting it right may take."""

    kinds: tuple[str, ...]
    keys: int
    draft: Callable[[Turns], Turns]
    truth: Callable[[Turns], Turns] = tuple
    reason: str | None = None


FLAWS = (
    Flaw(("word replaced",), 9, lambda turns: said(turns, "elke", "alle")),
    Flaw(("word too many",), 5, lambda turns: said(turns, "bak", "bak ook")),
    Flaw(("word missing",), 10, lambda turns: said(turns, "vers ", "")),
    Flaw(("filler missing",), 4, lambda turns: said(turns, "Eh, dank", "dank")),
    Flaw(("event missing",), 8, lambda turns: said(turns, "(laughs) ", "")),
    Flaw(("speaker",), 2, lambda turns: (replace(turns[0], speaker="B"),), lambda turns: turns[:1]),
    Flaw(("boundary",), 6, lambda turns: (replace(turns[0], end=round(turns[0].end - 0.25, 3)), turns[1])),
    Flaw(("turn divided", "speaker"), 7, one, touching),
    Flaw(("turns joined",), 2, tuple, one),
    Flaw((), 0, tuple, tuple, "music or noise"),
)


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Chrome]:
    chrome = chromium(downloads)
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
    yield chrome
    chrome.quit()


def talk(path: Path, seconds: float) -> Path:
    """A tone with half a second of silence in each clip, in the middle of which the second turn begins."""
    wave, rate = soundfile.read(save_tone(path, seconds))
    for number in range(len(FLAWS)):
        begin = 3.1 + EVERY * number
        wave[round((begin - 0.25) * rate) : round((begin + 0.25) * rate)] = 0
    soundfile.write(path, wave, rate)
    return path


def plant(catalogue: Catalogue, folder: Path) -> dict[str, tuple[Flaw, ClipState]]:
    """A recording with a clip for each flaw; flaws and right states by clip."""
    duration = 1.0 + EVERY * len(FLAWS)
    path = str(talk(folder / "talk.wav", duration))
    catalogue.add(Recording(RECORDING, path, duration, 16_000, 1, language="nl"), source_of(path), [])
    heard: list[Turn] = []
    utterances: list[Utterance] = []
    truth = {}
    for number, flaw in enumerate(FLAWS):
        turns = right(1.0 + EVERY * number, *SAID)
        draft, states = flaw.draft(turns), flaw.truth(turns)
        utterance = drafted(draft, max(turn.end for turn in (*draft, *states)))
        heard += [replace(turn, text="", text_clean=None) for turn in draft]
        utterances.append(utterance)
        verdict = REJECTED if flaw.reason else ACCEPTED
        truth[utterance.id] = (flaw, ClipState(utterance.start, utterance.end, states, verdict, flaw.reason))
    results = {"diarize": StageResult(turns=heard), "segment": StageResult(utterances)}
    for stage in STAGES[1:]:
        catalogue.finish(taken(catalogue, RECORDING, stage), results.get(stage, StageResult()))
    return truth


def drafted(turns: Sequence[Turn], until: float) -> Utterance:
    start, end = round(turns[0].start - 0.1, 3), round(until + 0.1, 3)
    assert all(len(list(run)) == 1 for _, run in groupby(turns, lambda turn: turn.speaker))
    speakers = tuple(dict.fromkeys(turn.speaker for turn in turns))
    text = written([(speakers.index(turn.speaker), turn.text) for turn in turns])
    cleaned = written([(speakers.index(turn.speaker), turn.text_clean or "") for turn in turns])
    id = utterance_id(RECORDING, start, end)
    facts: dict[str, Any] = {
        "main_speaker": speakers[0],
        "language": "nl",
        "confidence": -0.05,
        "transcript_source": "model",
    }
    return Utterance(id, RECORDING, start, end, text, cleaned, speakers, **facts)


def test_ten_clips_that_are_wrong_in_ten_ways_end_as_they_should_be(
    driver: Chrome, empty: Catalogue, downloads: Path, tmp_path: Path
) -> None:
    truth = plant(empty, tmp_path)
    work: dict[str, Work] = {}
    with serving(Server(empty, "talks", str(tmp_path), local=True)) as address:
        player = Player(Desk(driver, address, downloads))
        while player.clip:
            _, state = truth[player.clip]
            player.correct(state)
            done = player.finish(state)
            work[done.clip] = done
        assert driver.execute_script("return violations") == []
        leave(driver)
    assert work.keys() == truth.keys()
    for id, (flaw, state) in truth.items():
        clip, fixes = corrections.read(empty, id), work[id].fixes
        assert (clip.version, clip.state) == (1, state)
        assert tuple(fix.kind for fix in fixes) == flaw.kinds
        assert sum(fix.keys for fix in fixes) <= flaw.keys, (flaw.kinds, fixes)
