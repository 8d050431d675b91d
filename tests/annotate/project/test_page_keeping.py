"""Nothing that was typed is lost or goes to the wrong clip, whatever becomes of network, server, tab and session."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Keys

from annotate.fake_server import Fake
from annotate.working import Desk, application, served
from serve.browsing import leave

pytestmark = pytest.mark.browser

ONE = "Uh ik was gisteren op de market."


def said(fake: Fake, clip: str, turn: int = 0) -> str:
    """A turn of a clip as the server has it."""
    return fake.clips[clip].state["turns"][turn]["text"]


def rows(fake: Fake, clip: str) -> list[tuple[str, int]]:
    return [(row["action"], row["version"]) for row in fake.clips[clip].rows]


def prepared(desk: Desk, fake: Fake, clip: str) -> None:
    """A clip was fetched and is here."""
    desk.until(lambda: f"GET /api/clips/{clip}/peaks" in fake.asked)
    desk.until(
        lambda: desk.run(
            f"return performance.getEntriesByName(location.origin + '/api/clips/{clip}/peaks').length"
        )
    )


def test_work_without_a_connection_is_kept_and_sent_when_it_is_back(desk: Desk, fake: Fake) -> None:
    prepared(desk, fake, "two")
    desk.offline(True)
    desk.rewrite(0, "Zonder net.")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.says("1 correction not sent, kept in this browser", "#saved")
    desk.says("next try in", "#retry")
    desk.rewrite(0, "Ook zonder net.")
    desk.press_keys("Ctrl+Enter")
    desk.says("2 corrections not sent", "#saved")
    desk.says("all your work is kept here")
    assert rows(fake, "one") == rows(fake, "two") == []
    desk.offline(False)
    desk.says("Saved", "#saved")
    assert (said(fake, "one"), said(fake, "two")) == ("Zonder net.", "Ook zonder net.")
    desk.opened("three")


def test_what_waits_outlives_the_tab(driver: Any, downloads: Path, fake: Fake) -> None:
    with served(application(fake)) as address:
        desk = Desk(driver, address, downloads)
    desk.rewrite(0, "Een.")
    desk.press_keys("Ctrl+S")
    desk.rewrite(1, "Twee.")
    desk.press_keys("Ctrl+S")
    desk.says("2 corrections not sent", "#saved")
    desk.rewrite(0, "Drie.")  # and this was not even saved
    leave(driver)
    with served(application(fake), urlsplit(address).port or 0):
        assert fake.clips["one"].rows == []
        desk.open()
        desk.until(lambda: len(fake.clips["one"].rows) == 2)
        assert rows(fake, "one") == [("edit", 0), ("edit", 1)]
        assert (said(fake, "one", 0), said(fake, "one", 1)) == ("Een.", "Twee.")
        desk.until(lambda: desk.written == ["Drie.", "Twee."])
        desk.press_keys("Ctrl+S")
        desk.until(lambda: rows(fake, "one")[2:] == [("edit", 2)])
        assert said(fake, "one") == "Drie."
        leave(driver)


def test_a_tab_that_is_closed_while_one_types_keeps_what_was_typed(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Half gesch")
    desk.open()
    desk.says("unsaved edits")
    assert desk.written[0] == "Half gesch"
    desk.press_keys("Ctrl+Z")
    assert desk.written[0] == ONE
    desk.open()
    assert desk.written[0] == ONE and fake.clips["one"].rows == []


def test_a_server_that_was_killed_gets_what_waits_when_it_runs_again(
    driver: Any, downloads: Path, fake: Fake
) -> None:
    with served(application(fake)) as address:
        desk = Desk(driver, address, downloads)
        prepared(desk, fake, "two")
        desk.rewrite(0, "Voor de val.")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.says("1 correction not sent", "#saved")
    with served(application(fake), urlsplit(address).port or 0):
        desk.says("Saved", "#saved")
        assert (rows(fake, "one"), said(fake, "one")) == ([("accept", 0)], "Voor de val.")
        leave(driver)


@pytest.mark.parametrize("fault", ["loses", "cuts", "breaks"])
def test_a_save_that_failed_or_whose_answer_was_lost_counts_once(desk: Desk, fake: Fake, fault: str) -> None:
    setattr(fake, fault, 2)
    desk.rewrite(0, "Een keer.")
    desk.press_keys("Ctrl+S")
    desk.says("1 correction not sent", "#saved")
    desk.says("Saved", "#saved")
    assert fake.asked.count("PUT /api/clips/one") == 3
    assert (rows(fake, "one"), said(fake, "one")) == ([("edit", 0)], "Een keer.")
    desk.rewrite(0, "Twee keer.")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: rows(fake, "one") == [("edit", 0), ("edit", 1)])


def test_what_is_typed_while_a_save_is_under_way_goes_on_from_it(desk: Desk, fake: Fake) -> None:
    fake.delay = 0.5
    desk.rewrite(0, "Een.")
    desk.press_keys("Ctrl+S")
    desk.rewrite(0, "Een. Twee.")
    desk.press_keys("Ctrl+S")
    desk.to_end()
    desk.keys(" Drie.")
    desk.says("Saved", "#saved")
    assert (rows(fake, "one"), said(fake, "one")) == ([("edit", 0), ("edit", 1)], "Een. Twee.")
    assert desk.written[0] == "Een. Twee. Drie."


def test_edits_stay_with_their_clip(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Van een.")
    desk.press_keys("Alt+Enter")
    desk.opened("two")
    desk.rewrite(0, "Van twee.")
    desk.press_keys("Ctrl+S")
    desk.says("Saved", "#saved")
    assert fake.clips["one"].rows == [] and said(fake, "two") == "Van twee."
    desk.press_keys("Alt+L")
    desk.until(lambda: desk.sees("#list"))
    assert "unfinished edits" in desk.all("#list li")[1].text
    desk.keys(Keys.ESCAPE)
    desk.press_keys("Alt+Backspace")
    desk.opened("one")
    assert desk.written[0] == "Van een."


# Two people on one clip


def test_the_second_sees_at_once_who_changed_the_clip(desk: Desk, fake: Fake) -> None:
    desk.until(lambda: fake.listeners)
    fake.somebody("one", 0, "Anna was hier.")
    desk.says("Anna changed this clip just now", "#notices")
    desk.until(lambda: desk.written[0] == "Anna was hier.")


def test_edits_meet_those_of_others_before_they_are_saved(desk: Desk, fake: Fake) -> None:
    desk.until(lambda: fake.listeners)
    desk.rewrite(1, "(laughs) Echt?")
    fake.somebody("one", 0, "Uh ik was gisteren op de markt.")
    desk.says("while you edit it", "#notices")
    assert desk.written == [ONE, "(laughs) Echt?"]
    desk.press_keys("Alt+V")
    desk.until(lambda: desk.sees("#merge"))
    assert "fit together" in desk.find("#merge .why").text and desk.all("#merge fieldset") == []
    desk.shortcut(Keys.ENTER)
    desk.until(lambda: desk.written == ["Uh ik was gisteren op de markt.", "(laughs) Echt?"])
    assert len(fake.clips["one"].rows) == 1  # nothing is saved by it
    desk.press_keys("Ctrl+S")
    desk.until(lambda: rows(fake, "one") == [("edit", 0), ("edit", 1)])
    assert (said(fake, "one", 0), said(fake, "one", 1)) == (
        "Uh ik was gisteren op de markt.",
        "(laughs) Echt?",
    )


def test_a_save_that_came_second_shows_both_texts_and_is_merged_by_keys(desk: Desk, fake: Fake) -> None:
    desk.until(lambda: fake.listeners)
    fake.listeners.clear()  # whoever is not told meets it at the save
    desk.rewrite(0, "Uh ik was gisteren op het plein.")
    fake.somebody("one", 0, "Uh ik was gisteren op de markt.")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: desk.sees("#merge"))
    assert "1 correction to merge" in desk.find("#saved").text
    shown = [each.text for each in desk.all("#merge .versions section")]
    assert "het plein." in shown[0] and shown[1].startswith("Theirs (Anna)") and "markt." in shown[1]
    assert shown[2].startswith("The model's") and "op de market." in shown[2]
    assert desk.find("#merge legend").text == "Turn 1, verbatim"
    desk.tab_to("#merge [type=radio]")
    desk.keys(Keys.DOWN)
    assert desk.value(desk.find("#merge textarea")) == "Uh ik was gisteren op de markt."
    desk.keys(Keys.TAB)
    desk.shortcut("a")
    desk.keys("Uh ik was gisteren op het marktplein.")
    desk.shortcut(Keys.ENTER)
    desk.says("Saved", "#saved")
    assert rows(fake, "one") == [("edit", 0), ("edit", 1)]
    assert said(fake, "one") == desk.written[0] == "Uh ik was gisteren op het marktplein."
    assert desk.all("#notices div") == []


def test_a_clash_of_a_clip_that_was_left_waits_for_a_decision(desk: Desk, fake: Fake) -> None:
    prepared(desk, fake, "two")
    fake.listeners.clear()
    fake.delay = 0.3
    desk.rewrite(0, "Mijn versie.")
    fake.somebody("one", 0, "Haar versie.")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.says("Somebody else changed “A talk, clip one”", "#notices")
    desk.address += "/#clip/two"
    desk.open()  # it outlives the tab, too
    desk.says("Somebody else changed “A talk, clip one”", "#notices")
    desk.rewrite(0, "Intussen.")
    desk.press_keys("Ctrl+S")  # what belongs to other clips does not wait for it
    desk.until(lambda: said(fake, "two") == "Intussen.")
    desk.press_keys("Alt+V")
    desk.until(lambda: desk.sees("#merge"))
    desk.press("#merge .theirs")
    desk.says("Saved", "#saved")
    assert (rows(fake, "one"), said(fake, "one")) == ([("edit", 0)], "Haar versie.")


def test_edits_made_on_a_version_that_is_gone_come_back_as_a_clash(desk: Desk, fake: Fake) -> None:
    desk.rewrite(1, "(laughs) Nee echt?")
    leave(desk.driver)
    fake.somebody("one", 0, "Anna was hier.")
    desk.open()
    desk.says("changed this clip after your unsaved edits", "#notices")
    assert desk.written == [ONE, "(laughs) Nee echt?"]
    desk.press_keys("Alt+V")
    desk.until(lambda: desk.sees("#merge"))
    desk.shortcut(Keys.ENTER)
    desk.until(lambda: desk.written == ["Anna was hier.", "(laughs) Nee echt?"])


def test_a_turn_that_nobody_has_written_yet_takes_away_nothing_of_others(
    driver: Any, address: str, downloads: Path, fake: Fake
) -> None:
    fake.clips["one"].empty = True
    desk = Desk(driver, address, downloads)
    desk.box(1).click()
    desk.keys("(laughs) Echt?")
    leave(desk.driver)
    fake.somebody("one", 0, "Uh ik was gisteren op de markt.")
    desk.open()
    desk.says("changed this clip after your unsaved edits", "#notices")
    assert desk.written == ["", "(laughs) Echt?"]
    desk.press_keys("Alt+V")
    desk.until(lambda: desk.sees("#merge"))
    assert desk.all("#merge fieldset") == []
    desk.shortcut(Keys.ENTER)
    desk.until(lambda: desk.written == ["Uh ik was gisteren op de markt.", "(laughs) Echt?"])


# What the server cannot take


def test_a_save_that_is_refused_comes_back_as_edits(desk: Desk, fake: Fake) -> None:
    prepared(desk, fake, "two")
    fake.refuses = "The text holds a control character; remove it."
    desk.rewrite(0, "Geweigerd.")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.says("The text holds a control character", "#notices")
    assert desk.find("#saved").text == "Saved"
    fake.refuses = None
    desk.press("#notices button")
    desk.opened("one")
    assert desk.written[0] == "Geweigerd."
    desk.press_keys("Ctrl+Enter")
    desk.until(lambda: rows(fake, "one") == [("accept", 0)])


def test_a_clip_that_was_removed_leaves_nothing_in_the_browser(desk: Desk, fake: Fake) -> None:
    prepared(desk, fake, "two")
    desk.rewrite(0, "Geheim.")
    del fake.clips["one"]
    desk.press_keys("Ctrl+S")
    desk.opened("two")
    desk.says("no longer in the corpus", "#notices")
    desk.says("Saved", "#saved")
    assert "Geheim" not in desk.run("return JSON.stringify(localStorage)")
    assert "clip one" not in desk.run("return JSON.stringify(localStorage)")


def test_a_full_store_is_told_and_work_goes_on(desk: Desk, fake: Fake) -> None:
    desk.run("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    desk.rewrite(0, "Vol.")
    desk.says("This browser keeps nothing", "#notices")
    desk.press_keys("Ctrl+Enter")
    desk.until(lambda: rows(fake, "one") == [("accept", 0)])
    assert said(fake, "one") == "Vol."


def test_a_token_that_was_renewed_elsewhere_is_fetched_again(desk: Desk, fake: Fake) -> None:
    fake.csrf = "another"
    desk.rewrite(0, "Ander sleuteltje.")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: said(fake, "one") == "Ander sleuteltje.")


# How two versions become one, without a browser's help but in one


MERGE = """
  const [base, mine, theirs] = arguments;
  const turn = (text) => ({ start: 0, end: 1, speaker: "S1", text, text_clean: null, overlap: false });
  const state = (text) => ({ start: 0, end: 1, turns: [turn(text)], verdict: null, reason: null, comment: null });
  return import("/static/merging.js").then(({ merged }) => {
    const both = merged(state(base), state(mine), state(theirs));
    return [both.merged.turns[0].text, both.clashes.length];
  });
"""


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged", "clashes"),
    [
        ("een twee drie vier", "een TWEE drie vier", "een twee drie VIER", "een TWEE drie VIER", 0),
        ("een twee drie", "een twee drie", "een drie", "een drie", 0),
        ("een twee drie", "nul een twee drie", "een twee", "nul een twee", 0),
        ("een twee", "een TWEE", "een TWEE", "een TWEE", 0),
        ("een twee", "een tween", "een twaalf", "een tween", 1),
        ("een twee", "een x twee", "een y twee", "een x twee", 1),
        ("een twee drie", "een drie", "een TWEE drie", "een drie", 1),
        ("", "een", "", "een", 0),
    ],
)
def test_changes_of_words_apart_are_woven_together(
    desk: Desk, base: str, mine: str, theirs: str, merged: str, clashes: int
) -> None:
    assert desk.driver.execute_script(MERGE, base, mine, theirs) == [merged, clashes]
