"""The page over the server that it is made for, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from selenium.webdriver import Chrome, Keys

from annotate.small import ONE, PASSWORD, THREE, TWO, Client, serving, written
from annotate.working import Desk
from rosella.annotate import desk as server
from rosella.corpus.catalogue import corrections
from serve.browsing import leave

pytestmark = pytest.mark.browser

BEGUN = ["eh halo", "ja nee"]


class Real(Desk):
    """The page at one of the small corpus's clips."""

    def at(self, clip: str) -> None:
        self.open(f"/#clip/{clip}")
        self.until(lambda: self.written)


@pytest.fixture
def page(driver: Chrome, alone: server.Desk, downloads: Path) -> Iterator[Real]:
    with serving(alone) as address:
        page = Real(driver, address, downloads)
        page.at(ONE.id)
        yield page
        assert page.run("return violations") == []
        assert page.run("return mistakes") == []
        leave(driver)


def saved(page: Real, alone: server.Desk, version: int) -> Any:
    page.until(lambda: corrections.read(alone.catalogue, ONE.id).version == version)
    page.says("Saved", "#saved")
    return corrections.read(alone.catalogue, ONE.id)


def test_a_clip_is_heard_corrected_accepted_and_taken_back(page: Real, alone: server.Desk) -> None:
    assert page.written == BEGUN
    page.until(lambda: page.run("return plays.length"))
    origin, start = ONE.start - 0.9, page.run("return plays[0]")  # all that is before the first clip
    assert abs(start - (0.9 - origin)) < 0.02
    assert page.run("return media.duration") == pytest.approx(7.6, abs=0.01)
    page.rewrite(0, "eh hallo")
    page.press_keys("Ctrl+Enter")
    page.until(lambda: page.title and page.written != ["eh hallo", "ja nee"])
    found = saved(page, alone, 1)
    assert (found.state.verdict, [turn.text for turn in found.state.turns]) == (
        "accepted",
        ["eh hallo", "ja nee"],
    )
    page.press_keys("Alt+Backspace")
    page.until(lambda: page.written == ["eh hallo", "ja nee"])
    page.press_keys("Ctrl+Z")
    page.until(lambda: page.written == BEGUN)
    assert saved(page, alone, 2).state.verdict is None
    page.press_keys("Ctrl+Shift+Z")
    page.until(lambda: page.written == ["eh hallo", "ja nee"])
    assert saved(page, alone, 3).state.verdict == "accepted"


def test_what_nobody_changed_is_accepted_as_it_was(page: Real, alone: server.Desk) -> None:
    page.press_keys("Ctrl+Enter")
    page.until(lambda: corrections.read(alone.catalogue, ONE.id).version == 1)
    found = corrections.read(alone.catalogue, ONE.id)
    assert found.state.unjudged == found.draft.unjudged


def test_rules_are_told_while_one_writes(page: Real) -> None:
    page.rewrite(1, "ja (lacht)")
    page.says("(lacht) is no event of the list", "#turns li:last-child .text .fault")


def test_edges_move_as_far_as_the_neighbours(page: Real, alone: server.Desk) -> None:
    page.box(1).click()
    for _ in range(60):
        page.press_keys("Alt+M")
    page.press_keys("Ctrl+S")
    _, high = corrections.bounds(alone.catalogue, ONE.id)
    assert saved(page, alone, 1).state.end == pytest.approx(min(high, 6.0 + 60 * 0.05), abs=0.011)


def test_words_are_replaced_and_a_speaker_renamed(page: Real, alone: server.Desk) -> None:
    page.press_keys("Alt+W")
    page.keys("halo", Keys.ENTER)
    page.says("3 places.", "#search .told")
    page.tab_to("#search [name=put]")
    page.keys("hallo")
    page.press("#search .replace")
    page.driver.switch_to.alert.accept()
    page.says("Changed 3 clips.", "#search .told")
    page.keys(Keys.ESCAPE)
    page.until(lambda: page.written == ["eh hallo", "ja nee"])
    page.press_keys("Alt+R")
    page.until(lambda: page.all("#rename .speaker"))
    page.tab_to("#rename [name=after]")
    page.keys("Anna", Keys.ENTER)
    page.until(lambda: page.voices == ["Anna", "B"])
    page.says("A is now Anna", "#notices")
    assert corrections.read(alone.catalogue, TWO.id).state.turns[0].speaker == "Anna"
    assert corrections.read(alone.catalogue, THREE.id).state.turns[0].speaker == "A"
    page.press("#notices [data-notice=renamed] button")
    page.until(lambda: page.voices == ["A", "B"])


def test_work_without_a_connection_arrives_later(page: Real, alone: server.Desk) -> None:
    page.offline(True)
    page.rewrite(0, "eh hallo")
    page.press_keys("Ctrl+S")
    page.says("1 correction not sent, kept in this browser", "#saved")
    page.offline(False)
    assert saved(page, alone, 1).state.turns[0].text == "eh hallo"


def test_two_people_on_one_clip(driver: Chrome, shared: server.Desk, downloads: Path) -> None:
    token = shared.accounts.invite("annotator")
    with serving(shared) as address, httpx.Client(base_url=address) as http:
        anna = Client(http)
        anna.post(
            f"invitations/{shared.accounts.invite('annotator')}", {"name": "Anna", "password": PASSWORD}
        )
        anna.enter()
        page = Real(driver, f"{address}/#invitation={token}", downloads, sign="#join[open]")
        page.keys("Ben", Keys.TAB, PASSWORD, Keys.ENTER)
        page.until(lambda: page.written)
        page.address, page.sign = address, "#turns li"
        page.at(ONE.id)
        page.says("Ben, annotator", "#who")
        anna.save(written(anna.clip(ONE.id), "eh hallo"))
        page.says("Anna changed this clip just now", "#notices")
        page.until(lambda: page.written == ["eh hallo", "ja nee"])
        page.offline(True)
        page.rewrite(0, "eh hallo daar")
        page.press_keys("Ctrl+S")
        page.says("1 correction not sent", "#saved")
        anna.save(written(anna.clip(ONE.id), "nee nee", 1))
        page.offline(False)
        page.until(lambda: page.sees("#merge"))
        page.shortcut(Keys.ENTER)
        page.says("Saved", "#saved")
        texts = [turn.text for turn in corrections.read(shared.catalogue, ONE.id).state.turns]
        assert texts == page.written == ["eh hallo daar", "nee nee"]
        authors = [row.author for row in corrections.history(shared.catalogue, clip=ONE.id)]
        assert authors == ["Anna", "Anna", "Ben"]
        leave(driver)


def test_progress_counts_what_was_done(page: Real) -> None:
    page.press_keys("Ctrl+Enter")
    page.says("Saved", "#saved")
    page.find("nav a[href='#progress']").send_keys(Keys.ENTER)
    page.until(lambda: page.find("#agreement").text)
    assert "local 1" in page.find("#by-person").text
