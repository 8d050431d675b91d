"""What an annotator does with the page, in a real browser; run by name, with `-m browser`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.action_chains import ActionChains

from annotate.fake_server import PASSWORD, Fake
from annotate.working import Desk

pytestmark = pytest.mark.browser

DOCS = Path(__file__).parents[3] / "docs/annotating.md"
EVIL = "<img src=x onerror=window.hacked=1>"


def last(fake: Fake, clip: str) -> dict[str, Any]:
    """The last correction of a clip."""
    return fake.clips[clip].rows[-1]


def saved(desk: Desk, fake: Fake, clip: str, count: int = 1) -> dict[str, Any]:
    """The last correction of a clip, when the server has so many and the page knows it."""
    desk.until(lambda: len(fake.clips[clip].rows) == count)
    desk.says("Saved", "#saved")
    return last(fake, clip)


def stand(desk: Desk, second: float) -> None:
    """Stop as if the recording had been heard until a second."""
    desk.until(lambda: desk.run("return plays.length"))
    desk.run(f"media.pause(); media.currentTime = {second - desk.origin}")


# Listening


def test_a_clip_plays_on_arrival_and_one_key_accepts_it(desk: Desk, fake: Fake) -> None:
    desk.opened("one")
    desk.until(lambda: desk.run("return plays.length"))
    assert abs(desk.run("return plays[0]") - 1.5) < 0.01  # from its begin, after what is sent around it
    desk.until(lambda: "GET /api/clips/two/peaks" in fake.asked)
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.until(lambda: desk.run("return plays.length") == 2)
    row = saved(desk, fake, "one")
    assert (row["action"], row["after"]["verdict"], row["author"]) == ("accept", "accepted", "local")
    assert row["after"] | {"verdict": None} == fake.clips["one"].draft
    assert fake.asked.count("GET /api/clips/two/audio") == 1


def test_the_next_clip_is_shown_before_the_server_answers(desk: Desk, fake: Fake) -> None:
    desk.opened("one")
    desk.until(lambda: "GET /api/clips/two/peaks" in fake.asked)
    fake.delay = 30.0
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.says("Saving", "#saved")


def test_speed_keeps_the_pitch_and_outlives_the_clip(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.press_keys("Shift+F9")
    desk.press_keys("Shift+F9")
    assert desk.run("return [media.playbackRate, media.preservesPitch]") == [1.25, True]
    for _ in range(12):
        desk.press_keys("Shift+F8")
    assert desk.run("return media.playbackRate") == 0.5 and desk.find("#speed").text == "0.5 ×"
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.until(lambda: desk.run("return plays.length") == 2)
    assert desk.run("return [media.playbackRate, media.preservesPitch]") == [0.5, True]


def test_play_pause_and_a_turn_by_key_while_writing(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.box(0).click()
    desk.press_keys("Escape")
    assert desk.run("return media.paused") and desk.find("[data-does=play]").text.startswith("Play")
    at = desk.run("return media.currentTime")
    desk.press_keys("F8")
    assert desk.run("return media.currentTime") < at
    desk.press_keys("Alt+ArrowDown")
    desk.press_keys("F2")
    second = desk.all("#turns li")[1]
    desk.until(lambda: desk.all("#turns [aria-current]") == [second])
    desk.hears(4.0, 5.5)
    assert desk.all("#turns [aria-current]") == []


def test_a_turn_and_a_selection_are_repeated_until_told_otherwise(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.press_keys("Escape")
    desk.press_keys("Shift+F2")
    desk.until(lambda: desk.run("return plays.length") >= 3)  # the first turn once more
    assert desk.find("[data-does=loop]").get_attribute("aria-pressed") == "true"
    desk.press_keys("Shift+F2")
    desk.press_keys("Escape")
    desk.run("media.currentTime = 2.0")
    desk.press_keys("Alt+U")
    desk.run("media.currentTime = 2.4")
    desk.press_keys("Alt+I")
    desk.run("plays.length = 0")
    desk.until(lambda: desk.run("return plays.length") >= 2)
    assert all(abs(at - 2.0) < 0.01 for at in desk.run("return plays"))
    assert len(desk.regions()) == 3


def test_a_sound_that_waits_for_nothing_is_woken(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.run("""
        media.playbackRate = 0;
        Object.defineProperty(media, "readyState", { get: () => 2 });
        window.sought = 0;
        media.addEventListener("seeking", () => (sought += 1));
        media.dispatchEvent(new Event("waiting"));
    """)
    desk.until(lambda: desk.run("return sought"))


@pytest.mark.parametrize(
    ("chord", "span"),
    [
        ("Alt+J", (1.95, 4.0)),
        ("Alt+K", (2.05, 4.0)),
        ("Alt+N", (2.0, 3.95)),
        ("Alt+M", (2.0, 4.05)),
        ("Alt+Shift+J", (1.99, 4.0)),
        ("Alt+Shift+M", (2.0, 4.01)),
    ],
)
def test_a_boundary_is_moved_by_key_and_what_is_around_it_is_heard(
    desk: Desk, fake: Fake, chord: str, span: tuple[float, float]
) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.press_keys("Escape")
    desk.press_keys(chord)
    moved = next(new for new, old in zip(span, (2.0, 4.0), strict=True) if new != old)
    assert desk.spans == [span, (span[1], 5.5)]  # the neighbour that touches it moves along
    desk.until(lambda: desk.run("return plays.length") == 2)
    desk.hears(moved - 0.5, moved + 0.5)
    desk.press_keys("Ctrl+S")
    row = saved(desk, fake, "one")
    assert (row["action"], row["after"]["start"], row["after"]["end"]) == ("edit", span[0], 5.5)


def test_a_boundary_moved_just_before_the_next_clip_is_not_heard_in_that(desk: Desk, fake: Fake) -> None:
    desk.until(lambda: "GET /api/clips/two/peaks" in fake.asked)
    desk.press_keys("Escape")
    desk.run(
        "window.waits = setTimeout; setTimeout = (act, delay) => waits(act, delay === 200 ? 1500 : delay)"
    )
    desk.press_keys("Alt+M")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    desk.until(lambda: desk.run("return plays.length") == 2)
    desk.run("window.later = false; waits(() => (later = true), 1600)")
    desk.until(lambda: desk.run("return later"))
    assert desk.run("return plays.length") == 2


def test_no_boundary_leaves_its_limits(desk: Desk) -> None:
    for _ in range(12):
        desk.press_keys("Alt+J")
    assert desk.spans[0] == (1.6, 4.0)
    for _ in range(60):
        desk.press_keys("Alt+K")
    assert desk.spans[0] == (3.95, 4.0)
    desk.press_keys("Ctrl+Z")
    assert desk.spans[0][0] < 3.95


def test_a_boundary_is_moved_by_mouse(desk: Desk) -> None:
    desk.until(lambda: len(desk.regions()) == 2)
    inside = "document.querySelector('#wave > div').shadowRoot"
    handle = desk.run(f"return {inside}.querySelectorAll('[part~=region-handle-right]')[1]")
    ActionChains(desk.driver).drag_and_drop_by_offset(handle, -60, 0).perform()
    desk.until(lambda: desk.spans[1][1] < 5.5)
    assert 5.0 < desk.spans[1][1] < 5.45


def test_a_selection_is_drawn_by_mouse_and_repeated(desk: Desk) -> None:
    desk.until(lambda: len(desk.regions()) == 2)
    wave = desk.find("#wave")
    width = wave.size["width"]
    ActionChains(desk.driver).move_to_element_with_offset(
        wave, -width // 2 + 20, 10
    ).click_and_hold().move_by_offset(120, 0).release().perform()
    desk.until(lambda: len(desk.regions()) == 3)
    desk.run("plays.length = 0")
    desk.until(lambda: desk.run("return plays.length") >= 2)
    starts = desk.run("return plays")
    assert max(starts) - min(starts) < 0.02 and starts[0] < 0.5


# Turns and words


def test_turns_are_divided_joined_assigned_marked_and_removed_and_all_is_undone(desk: Desk) -> None:
    begun = (desk.written, desk.cleaned, desk.spans, desk.voices)
    desk.box(0).click()
    desk.to_start()
    desk.keys(*[Keys.RIGHT] * 8)
    desk.keys(Keys.ENTER)
    assert desk.written == ["Uh ik wa", "s gisteren op de market.", "(laughs) Echt waar?"]
    desk.press_keys("Ctrl+Z")
    assert desk.written == begun[0]
    desk.box(0).click()
    desk.to_start()
    desk.keys(*[Keys.RIGHT] * 10, Keys.ENTER)
    assert desk.written[:2] == ["Uh ik was", "gisteren op de market."]
    assert desk.cleaned[:2] == ["Ik was", "gisteren op de market."]
    assert desk.spans[:2] == [(2.0, 2.79), (2.79, 4.0)]
    desk.press_keys("Alt+2")
    assert desk.voices == ["S1", "S2", "S2"]
    desk.press_keys("Alt+G")
    assert desk.written == ["Uh ik was", "gisteren op de market. (laughs) Echt waar?"]
    assert desk.cleaned[1] == "gisteren op de market. Echt waar?"
    assert desk.spans == [(2.0, 2.79), (2.79, 5.5)]
    desk.press_keys("Alt+0")
    assert desk.voices == ["S1", "S3"]
    desk.press_keys("Alt+O")
    assert desk.all("#turns .unusable input")[1].is_selected()
    desk.press_keys("Alt+Delete")
    assert desk.written == ["Uh ik was"]
    done = (desk.written, desk.cleaned, desk.spans, desk.voices)
    for _ in range(6):
        desk.press_keys("Ctrl+Z")
    assert (desk.written, desk.cleaned, desk.spans, desk.voices) == begun
    for _ in range(6):
        desk.press_keys("Ctrl+Shift+Z")
    assert (desk.written, desk.cleaned, desk.spans, desk.voices) == done


def test_a_turn_is_divided_where_one_listens(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.press_keys("Escape")
    desk.run("media.currentTime = 2.0")  # second 2.5 of the recording
    desk.box(0).click()
    desk.to_start()
    desk.keys(*[Keys.RIGHT] * 3)
    desk.press_keys("Shift+Enter")
    assert desk.written[:2] == ["Uh", "ik was gisteren op de market."]
    assert desk.spans[:2] == [(2.0, 2.5), (2.5, 4.0)]
    desk.press_keys("Alt+ArrowDown")
    desk.press_keys("Shift+Enter")
    desk.says("outside this turn")
    assert len(desk.written) == 3


def test_the_clean_text_follows_the_verbatim_one(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Uh ik was ehm gisteren gis- gisteren op de grote (coughs) markt.")
    assert desk.cleaned[0] == "Ik was gisteren gisteren op de grote markt."
    desk.rewrite(0, "Ik was gisteren op de grote markt.", "text_clean")
    desk.box(0).click()
    desk.to_end()
    desk.keys(Keys.BACKSPACE, "plaats.")
    assert desk.cleaned[0] == "Ik was gisteren op de grote marktplaats."
    desk.press_keys("Ctrl+S")
    turn = saved(desk, fake, "one")["after"]["turns"][0]
    assert turn["text"].endswith("marktplaats.") and turn["text_clean"] == desk.cleaned[0]


def test_what_the_model_wrote_stays_visible_with_the_difference(desk: Desk) -> None:
    desk.rewrite(0, "Uh ik was gisteren op de markt.")
    drafted = desk.all("#turns .drafted")[0]
    assert [each.text for each in drafted.find_elements("css selector", "del, ins")] == ["market.", "markt."]
    desk.press_keys("F4")
    assert not drafted.is_displayed()
    desk.press_keys("F4")
    desk.press_keys("Shift+F4")
    assert desk.written[0] == "Uh ik was gisteren op de market." and "As the model wrote it" in drafted.text


def test_the_draft_is_found_again_in_turns_that_were_divided(desk: Desk) -> None:
    desk.box(0).click()
    desk.to_start()
    desk.keys(*[Keys.RIGHT] * 10, Keys.ENTER)
    assert all("As the model wrote it" in each.text for each in desk.all("#turns .drafted"))
    desk.rewrite(1, "vandaag op de market.")
    drafted = desk.all("#turns .drafted")[1]
    assert [each.text for each in drafted.find_elements("css selector", "del, ins")] == [
        "gisteren",
        "vandaag",
    ]


def test_where_the_draft_is_bad_boxes_begin_empty(desk: Desk, fake: Fake) -> None:
    desk.press_keys("Alt+Enter")
    desk.opened("two")
    desk.press_keys("Alt+Enter")
    desk.opened("three")
    assert desk.written == [""] and not desk.find("#turns .drafted").is_displayed()
    assert desk.sees("#hidden-draft")
    desk.press_keys("Ctrl+Enter")
    desk.says("Turn 1 has no words")
    desk.press_keys("F4")
    assert "Zeer slecht gehoord" in desk.find("#turns .drafted").text
    desk.keys("Heel goed gehoord.")
    desk.press_keys("Ctrl+Enter")
    desk.opened("four")
    assert saved(desk, fake, "three")["after"]["turns"][0]["text"] == "Heel goed gehoord."


@pytest.fixture
def emptied(driver: Any, address: str, downloads: Path, fake: Fake) -> Desk:
    """The first clip is one whose boxes begin empty, and the first of its two turns was written."""
    fake.clips["one"].empty = True
    desk = Desk(driver, address, downloads)
    desk.opened("one")
    assert desk.written == desk.cleaned == ["", ""]
    desk.box(0).click()
    desk.keys("Uh ik was er.")
    return desk


def test_a_turn_that_nobody_has_written_yet_is_not_saved_as_silence(emptied: Desk, fake: Fake) -> None:
    emptied.press_keys("Ctrl+S")
    emptied.says(
        "Turn 2 has no words: write them, take what the model wrote (Shift + F4), mark it as unusable"
    )
    assert not fake.clips["one"].rows
    emptied.press_keys("Shift+F4")  # the caret is there
    emptied.press_keys("Ctrl+S")
    first, second = saved(emptied, fake, "one")["after"]["turns"]
    assert (first["text"], first["text_clean"]) == ("Uh ik was er.", "Ik was er.")
    assert second == fake.clips["one"].draft["turns"][1]


def test_a_turn_is_saved_without_words_where_nothing_of_it_is_to_be_used(emptied: Desk, fake: Fake) -> None:
    emptied.box(1).click()
    emptied.press_keys("Alt+O")
    emptied.press_keys("Ctrl+S")
    second = saved(emptied, fake, "one")["after"]["turns"][1]
    assert (second["text"], second["overlap"]) == ("", True)


def test_turns_that_are_not_to_be_used_are_not_emptied(desk: Desk) -> None:
    script = """
      const turns = [{ text: "een", text_clean: null, overlap: true }, { text: "twee", text_clean: null, overlap: false }];
      return import("/static/turns.js").then(({ emptied }) => emptied({ turns }).turns.map(({ text }) => text));
    """
    assert desk.run(script) == ["een", ""]


@pytest.mark.parametrize(
    ("action", "chord", "then"),
    [("comment", "Alt+C", "Wie?"), ("reject", "Alt+X", "2"), ("second", "Alt+Q", "")],
)
def test_whoever_judges_a_clip_leaves_what_the_model_wrote_where_nobody_wrote(
    emptied: Desk, fake: Fake, action: str, chord: str, then: str
) -> None:
    emptied.press_keys(chord)
    if then:
        emptied.keys(then)
        emptied.shortcut(Keys.ENTER)
    row = saved(emptied, fake, "one")
    assert row["action"] == action
    assert [turn["text"] for turn in row["after"]["turns"]] == ["Uh ik was er.", "(laughs) Echt waar?"]
    if action == "comment":
        assert emptied.written == ["Uh ik was er.", "(laughs) Echt waar?"]


def test_events_and_fillers_are_inserted_at_the_caret(desk: Desk) -> None:
    desk.box(1).click()
    desk.to_end()
    desk.press_keys("Alt+P")
    assert [each.text for each in desk.all("#palette-list li")] == [
        "(laughs)",
        "(sighs)",
        "(coughs)",
        "uh",
        "ehm",
        "hm",
    ]
    desk.keys("h", Keys.DOWN, Keys.ENTER)
    desk.until(lambda: desk.written[1] == "(laughs) Echt waar? (sighs)")
    assert desk.cleaned[1] == "Echt waar?"
    desk.keys("!")
    assert desk.written[1].endswith("(sighs)!")


def test_the_word_just_heard_is_written_over_and_heard_again(desk: Desk) -> None:
    stand(desk, 5.4)  # half a second before, "waar?" had not begun
    desk.press_keys("Alt+A")
    assert desk.selected == "Echt" and desk.run("return media.paused")
    at = desk.run("return media.currentTime") + desk.origin
    assert 4.5 < at < 4.7
    desk.keys("Heus")
    assert desk.written[1] == "(laughs) Heus waar?" and desk.cleaned[1] == "Heus waar?"
    desk.run("plays.length = 0")
    desk.press_keys("Escape")
    desk.until(lambda: desk.run("return plays.length"))
    desk.hears(at, 5.5)


def test_from_the_word_heard_one_goes_to_those_around_it_also_in_other_turns(desk: Desk) -> None:
    stand(desk, 5.4)
    for chord, word in [("A", "Echt"), ("A", "(laughs)"), ("A", "market."), ("Z", "(laughs)"), ("Z", "Echt")]:
        desk.press_keys(f"Alt+{chord}")
        assert desk.selected == word
    desk.press_keys("Escape")
    desk.until(lambda: not desk.run("return media.paused"))
    stand(desk, 5.4)
    desk.press_keys("Alt+A")
    assert desk.selected == "Echt"  # something was heard since: no longer the word before


def test_who_hears_slowly_or_has_just_jumped_means_a_later_word(desk: Desk) -> None:
    desk.until(lambda: desk.run("return plays.length"))
    desk.run("media.playbackRate = 0.5")
    stand(desk, 5.4)
    desk.press_keys("Alt+A")
    assert desk.selected == "waar?"
    desk.run("media.playbackRate = 1")
    stand(desk, 5.4)
    desk.press_keys("F8")
    desk.to_start()
    desk.press_keys("Alt+A")
    assert desk.selected == "(laughs)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我们昨天去市场,真的。", ["我们", "昨天", "去", "市场", "真的"]),
        ("東京に(laughs)行く", ["東京", "に", "laughs", "行く"]),
        ("เราไปตลาด", ["เรา", "ไป", "ตลาด"]),
        (
            "Uh, 'k was op de auto-markt (laughs).",
            ["Uh,", "'k", "was", "op", "de", "auto-markt", "(laughs)."],
        ),
    ],
)
def test_words_are_told_apart_in_scripts_without_spaces_too(desk: Desk, text: str, words: list[str]) -> None:
    script = """
      const [text] = arguments;
      const sound = { start: 0, rate: 100, peaks: Array(100).fill([-0.4, 0.5]) };
      return import("/static/heard.js").then(({ spoken }) => spoken([{ start: 0, end: 1, text }], sound));
    """
    found = desk.driver.execute_script(script, text)
    assert [text[word["from"] : word["to"]] for word in found] == words
    seconds = [word["second"] for word in found]
    assert seconds == sorted(set(seconds))


def test_the_word_just_heard_is_selected_where_there_are_no_spaces(
    driver: Any, address: str, downloads: Path, fake: Fake
) -> None:
    fake.clips["one"].draft["turns"][1]["text"] = "我们昨天去市场"
    desk = Desk(driver, address, downloads)
    stand(desk, 5.4)
    for chord, word in [("A", "去"), ("A", "昨天"), ("Z", "去"), ("Z", "市场")]:
        desk.press_keys(f"Alt+{chord}")
        assert desk.selected == word


def test_without_a_browsers_help_words_stand_between_spaces(desk: Desk) -> None:
    script = """
      const [kept, sound] = [Intl.Segmenter, { start: 0, rate: 1, peaks: [[-1, 1]] }];
      Intl.Segmenter = undefined;
      return import("/static/heard.js?anew").then(({ spoken }) => {
        Intl.Segmenter = kept;
        return spoken([{ start: 0, end: 1, text: "我们 昨天去" }], sound).map(({ from, to }) => [from, to]);
      });
    """
    assert desk.run(script) == [[0, 2], [3, 6]]


def test_pauses_hold_no_words(desk: Desk) -> None:
    script = """
      const [loud, quiet] = [Array(10).fill([-0.4, 0.5]), Array(30).fill([-0.01, 0.01])];
      const turns = [{ start: 1, end: 1.5, text: "een twee" }, { start: 1.5, end: 1.6, text: "" }];
      const sound = { start: 1, rate: 100, peaks: [...loud, ...quiet, ...loud, ...loud] };
      return import("/static/heard.js").then(({ spoken }) => spoken(turns, sound));
    """
    assert desk.run(script) == [
        {"turn": 0, "from": 0, "to": 3, "second": 1},
        {"turn": 0, "from": 4, "to": 8, "second": 1.4},
        {"turn": 1, "from": 0, "to": 0, "second": 1.5},
    ]


def test_a_turn_is_divided_in_the_longest_pause_near_the_word(desk: Desk) -> None:
    script = """
      const [loud, quiet] = [Array(50).fill([-0.4, 0.5]), [0, 0]];
      const sound = { start: 1, rate: 100, peaks: [...loud, ...loud, ...loud, ...loud] };
      for (const [from, to] of [[60, 75], [90, 120], [175, 200]]) sound.peaks.fill(quiet, from, to);
      const turn = { start: 1, end: 3, text: "een twee drie vier" };
      return import("/static/heard.js").then(({ division }) => [4, 9, 14, 18].map((caret) => division(turn, caret, sound)));
    """
    assert [round(second, 3) for second in desk.run(script)] == [1.675, 2.05, 2.05, 2.68]


@pytest.mark.parametrize(
    ("steps", "text"),
    [(0, "(laughs) Echt"), (1, "(laughs) waar?"), (2, "Echt waar?")],
)
def test_a_word_is_deleted_without_leaving_two_spaces(desk: Desk, steps: int, text: str) -> None:
    stand(desk, 5.7)
    for _ in range(steps + 1):
        desk.press_keys("Alt+A")
    desk.keys(Keys.DELETE)
    assert desk.written[1] == text
    desk.press_keys("Ctrl+Z")
    assert desk.written[1] == "(laughs) Echt waar?"


def test_letters_are_deleted_alone(desk: Desk) -> None:
    desk.box(1).click()
    desk.to_end()
    desk.press_keys("Shift+Left")
    desk.keys(Keys.BACKSPACE)
    assert desk.written[1] == "(laughs) Echt waar"


def test_a_clean_text_is_made_anew_by_one_key(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Ik was elders.", "text_clean")
    desk.press_keys("Alt+Y")
    assert desk.cleaned[0] == ""
    desk.press_keys("Ctrl+S")
    assert saved(desk, fake, "one")["after"]["turns"][0]["text_clean"] is None


def test_a_suggested_word_is_taken_by_one_key(driver: Any, address: str, downloads: Path, fake: Fake) -> None:
    fake.offers = [{"turn": 0, "from": "market", "to": "markt", "times": 3}]
    desk = Desk(driver, address, downloads)
    desk.until(lambda: desk.all(".offer"))
    assert "market → markt 3 ×" in desk.find(".offer").text
    desk.press_keys("Alt+.")
    assert desk.written[0] == "Uh ik was gisteren op de markt." and desk.all(".offer") == []
    assert desk.cleaned[0] == "Ik was gisteren op de markt."


def test_what_breaks_the_rules_is_said_below_the_box_and_not_accepted(desk: Desk, fake: Fake) -> None:
    desk.rewrite(1, "[S5] Nou.")
    desk.says("The speaker tag [S5] is unknown", "#turns li:last-child .text .fault")
    assert desk.box(1).get_attribute("aria-invalid") == "true"
    described = desk.box(1).get_attribute("aria-describedby")
    assert "S5" in desk.find(f"[id='{described}']").text
    desk.press_keys("Ctrl+Enter")
    desk.says("The speaker tag [S5]")
    desk.rewrite(1, "Nou.")
    desk.until(lambda: desk.box(1).get_attribute("aria-invalid") == "false")
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")


# Judgements, history, the whole recording and the whole project


def test_a_clip_is_rejected_with_a_reason_and_found_again(desk: Desk, fake: Fake) -> None:
    desk.press_keys("Alt+X")
    desk.keys("2", Keys.ENTER)
    desk.opened("two")
    row = saved(desk, fake, "one")
    assert (row["action"], row["after"]["verdict"], row["after"]["reason"]) == (
        "reject",
        "rejected",
        "music or noise",
    )
    desk.press_keys("Alt+X")
    desk.tab_to("#reject [name=words]")
    desk.keys("een hond blaft", Keys.ENTER)
    desk.opened("three")
    assert saved(desk, fake, "two")["after"]["reason"] == "een hond blaft"
    desk.press_keys("Alt+Backspace")
    desk.opened("two")
    desk.press_keys("Alt+Backspace")
    desk.opened("one")
    assert desk.find("#judged").text == "Rejected: music or noise."
    desk.press_keys("Alt+L")
    desk.until(lambda: desk.sees("#list"))
    assert [each.text for each in desk.all("#list li")][1:] == [
        "A talk, clip two, at 6.0 s rejected",
        "A talk, clip three, at 9.0 s",
    ]
    desk.tab_to("#list li:last-child button")
    desk.keys(Keys.ENTER)
    desk.opened("three")


def test_a_second_opinion_and_a_comment(desk: Desk, fake: Fake) -> None:
    desk.press_keys("Alt+C")
    desk.keys("Wie is dit?", Keys.ENTER, "Anna?")
    desk.shortcut(Keys.ENTER)
    row = saved(desk, fake, "one")
    assert (row["action"], row["after"]["comment"], row["after"]["verdict"]) == (
        "comment",
        "Wie is dit?\nAnna?",
        None,
    )
    desk.press_keys("Alt+Q")
    desk.opened("two")
    row = saved(desk, fake, "one", 2)
    assert (row["action"], row["after"]["verdict"]) == ("second", "second")


def test_what_was_saved_is_undone_and_redone_through_the_server(desk: Desk, fake: Fake) -> None:
    for text in ("Een.", "Twee."):
        desk.rewrite(0, text)
        desk.press_keys("Ctrl+S")
        desk.until(
            lambda text=text: (
                last(fake, "one")["after"]["turns"][0]["text"] == text if fake.clips["one"].rows else False
            )
        )
    saved(desk, fake, "one", 2)
    desk.open()  # which knows nothing of the keys that were pressed
    desk.opened("one")
    steps = [
        ("Ctrl+Z", "Een."),
        ("Ctrl+Z", "Uh ik was gisteren op de market."),
        ("Ctrl+Shift+Z", "Een."),
        ("Ctrl+Shift+Z", "Twee."),
        ("Ctrl+Z", "Een."),
    ]
    for number, (chord, text) in enumerate(steps, 3):
        desk.press_keys(chord)
        desk.until(lambda text=text: desk.written[0] == text)
        assert saved(desk, fake, "one", number)["action"] == "undo"
    desk.press_keys("Ctrl+Z")
    desk.until(lambda: desk.written[0].startswith("Uh"))
    desk.press_keys("Ctrl+Z")
    desk.says("nothing to undo")


def test_a_speaker_is_renamed_in_the_whole_recording_and_that_is_undone(desk: Desk, fake: Fake) -> None:
    desk.rewrite(1, "Echt?")
    desk.press_keys("Alt+R")
    desk.until(lambda: desk.all("#rename .speaker"))
    assert "S2 4 s in 3 turns" in desk.find("#rename").text
    assert desk.find("#rename :checked").get_attribute("value") == "S2"
    desk.tab_to("#rename [name=after]")
    desk.keys("S1")
    desk.says("the two become one", "#rename .told")
    desk.keys(Keys.BACKSPACE, Keys.BACKSPACE, "Anna", Keys.ENTER)
    desk.until(lambda: desk.voices == ["S1", "Anna"])
    desk.says("S2 is now Anna", "#notices")
    assert fake.clips["two"].state["turns"][1]["speaker"] == "Anna"
    assert desk.written[1] == "Echt?"  # what was edited stays
    desk.press_keys("Ctrl+Enter")
    desk.opened("two")
    assert saved(desk, fake, "one")["after"]["turns"][1] == {
        "start": 4.0,
        "end": 5.5,
        "speaker": "Anna",
        "text": "Echt?",
        "text_clean": "Echt?",
        "overlap": False,
    }
    desk.until(lambda: desk.voices == ["S1", "Anna"])


def test_words_are_searched_replaced_and_put_back_in_all_clips(desk: Desk, fake: Fake) -> None:
    desk.press_keys("Alt+W")
    desk.keys("market", Keys.ENTER)
    desk.says("2 places.", "#search .told")
    desk.tab_to("#search [name=put]")
    desk.keys("markt")
    desk.press("#search .replace")
    desk.driver.switch_to.alert.accept()
    desk.says("Changed 2 clips.", "#search .told")
    assert fake.clips["two"].state["turns"][0]["text"] == "Ja, op de markt."
    desk.press("#search .undo")
    desk.says("Put 2 clips back.", "#search .told")
    desk.press("#search .primary")
    desk.until(lambda: desk.all("#search .found button"))
    desk.press("#search .found li:last-child button")
    desk.opened("two")
    assert desk.written[0] == "Ja, op de market."


# Keys


def test_the_overlay_shows_all_keys_and_switches_them_off(desk: Desk, fake: Fake) -> None:
    desk.press_keys("F1")
    desk.until(lambda: desk.sees("#help"))
    groups = desk.run(
        "return import('/static/keys.js').then(({GROUPS}) => GROUPS.flatMap(([, keys]) => keys.map(([, , says]) => says)))"
    )
    assert [row.text for row in desk.all("#help td")] == groups
    desk.press_keys("Ctrl+Enter")
    desk.press_keys("Alt+Delete")
    desk.press_keys("F1")
    desk.until(lambda: not desk.sees("#help"))
    assert (desk.title, len(desk.written)) == ("A talk, clip one", 2) and not fake.clips["one"].rows
    desk.press_keys("Alt+Delete")
    assert len(desk.written) == 1


def test_the_documentation_lists_the_same_keys(desk: Desk) -> None:
    script = """
      return import("/static/keys.js").then(({ GROUPS, shown }) =>
        GROUPS.flatMap(([, keys]) => keys.map(([, chord, says]) => [shown(chord), says])));
    """
    section = DOCS.read_text("utf-8").split("\n## Keys\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, re.MULTILINE)
    assert [list(row) for row in rows] == desk.run(script)


def test_no_two_actions_share_a_key_and_every_one_can_be_done(desk: Desk) -> None:
    script = """
      const done = arguments[0];
      Promise.all([import("/static/keys.js"), import("/static/doing.js")]).then(([{ GROUPS }, { actions }]) => {
        const keys = GROUPS.flatMap(([, keys]) => keys);
        const does = Object.keys(actions({ player: {}, transcript: {} }, {}));
        done([keys.map(([, chord]) => chord), keys.map(([name]) => name).sort(), does.sort()]);
      });
    """
    chords, named, done = desk.driver.execute_async_script(script)
    assert len(set(chords)) == len(chords) and named == done


def test_altgr_writes_characters(desk: Desk) -> None:
    script = """
      const taken = (key, code, held) => {
        const event = new KeyboardEvent("keydown", { key, code, ...held, bubbles: true, cancelable: true });
        document.activeElement.dispatchEvent(event);
        return event.defaultPrevented;
      };
      const altGr = { ctrlKey: true, altKey: true, modifierAltGraph: true };
      return [taken("€", "KeyE", altGr), taken("∆", "KeyJ", { altKey: true })];
    """
    assert desk.run(script) == [False, True]  # a Mac's Alt + J is still Alt + J


# People, safety, looks


def test_login_again_loses_nothing(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Bewaard.")
    fake.logged_in = False
    desk.press_keys("Ctrl+S")
    desk.until(lambda: desk.sees("#login"))
    desk.says("nothing is lost", "#login .why")
    desk.keys("local", Keys.TAB, "wrong", Keys.ENTER)
    desk.says("do not belong together", "#login .told")
    desk.keys(Keys.ESCAPE)
    assert desk.sees("#login")
    desk.find("#login [name=password]").clear()
    desk.find("#login [name=password]").send_keys(PASSWORD, Keys.ENTER)
    assert saved(desk, fake, "one")["after"]["turns"][0]["text"] == "Bewaard."
    assert desk.written[0] == "Bewaard."


def test_work_waits_for_the_person_whose_it_is(desk: Desk, fake: Fake) -> None:
    desk.rewrite(0, "Van mij.")
    fake.logged_in = False
    desk.press_keys("Ctrl+S")
    desk.until(lambda: desk.sees("#login"))
    desk.keys("Bea", Keys.TAB, PASSWORD, Keys.ENTER)
    desk.until(lambda: "Bea" in desk.run("return document.querySelector('#who').textContent"))
    desk.says("Corrections by local wait in this browser", "#notices")
    desk.until(lambda: desk.written)
    assert not fake.clips["one"].rows and desk.written[0].startswith("Uh")
    desk.press("#logout")
    desk.until(lambda: desk.sees("#login"))
    desk.keys("local", Keys.TAB, PASSWORD, Keys.ENTER)
    desk.until(lambda: fake.clips["one"].rows)
    assert last(fake, "one")["author"] == "local"


def test_an_invitation_makes_an_account(driver: Any, address: str, downloads: Path, fake: Fake) -> None:
    fake.logged_in = False
    desk = Desk(driver, f"{address}/#invitation/welcome", downloads, sign="#join[open]")
    desk.says("annotator", "#join .why")
    desk.keys("Cas", Keys.TAB, "kort", Keys.ENTER)
    assert desk.sees("#join")
    desk.keys("kort maar lang genoeg", Keys.ENTER)
    desk.opened("one")
    assert desk.find("#who").text == "Cas, annotator"
    assert "invitation" not in desk.driver.current_url
    assert not desk.sees("nav .owner")


def test_who_forgot_the_password_chooses_a_new_one(
    driver: Any, address: str, downloads: Path, fake: Fake
) -> None:
    fake.logged_in = False
    desk = Desk(driver, f"{address}/#invitation/again", downloads, sign="#join[open]")
    desk.says("Choose a new password", "#join-title")
    desk.keys("lang genoeg om te onthouden", Keys.ENTER)  # the name is there, and the caret behind it
    desk.opened("one")
    assert desk.find("#who").text == "Dirk, annotator"


def test_an_owner_invites_and_removes_people(desk: Desk, fake: Fake) -> None:
    fake.people["Dirk"] = "annotator"
    desk.press("nav .owner")
    desk.until(lambda: desk.all("#members tbody tr"))
    desk.find("#invite select").send_keys("reviewer")
    desk.press("#invite button")
    desk.until(lambda: desk.sees("#invite [name=link]"))
    assert desk.value(desk.find("#invite [name=link]")) == f"{desk.address}/#invitation/welcome-reviewer"
    assert len(desk.all("#members tr:first-child button")) == 1  # nobody removes himself
    desk.press("[aria-label='New password for Dirk']")
    desk.says("chooses a new password for Dirk", "#invite .link")
    assert desk.value(desk.find("#invite [name=link]")) == f"{desk.address}/#invitation/again-Dirk"
    desk.press("[aria-label='Remove Dirk']")
    desk.driver.switch_to.alert.accept()
    desk.until(lambda: len(desk.all("#members tbody tr")) == 1)
    assert "Dirk" not in fake.people and not desk.sees("#invite [name=link]")


def test_the_progress_is_shown(desk: Desk) -> None:
    desk.find("nav a[href='#progress']").send_keys(Keys.ENTER)
    desk.until(lambda: desk.find("#agreement").text)
    shown = desk.find("main#progress").text
    for fact in (
        "0.4 h",
        "1.6 h",
        "about 2.3 h",
        "128",
        "95.7 % of the words",
        "31 words changed",
        "Anna 12 0.4 9.5 1.3",
    ):
        assert fact in shown
    links = [each.get_attribute("href") for each in desk.all("#progress a")]
    assert links == [f"{desk.address}/api/export/{name}.csv" for name in ("history", "agreement")]


def test_text_is_text_wherever_it_is_shown(driver: Any, address: str, downloads: Path, fake: Fake) -> None:
    for state in [clip.draft for clip in fake.clips.values()]:
        for said in state["turns"]:
            said |= {"text": f"{EVIL} market", "text_clean": EVIL, "speaker": EVIL}
        state["comment"] = EVIL
    fake.offers = [{"turn": 0, "from": "market", "to": EVIL, "times": 1}]
    fake.people[EVIL] = "owner"
    desk = Desk(driver, address, downloads)
    desk.until(lambda: desk.all(".offer"))
    fake.somebody("one", 0, EVIL, EVIL)
    desk.says(f"{EVIL} changed this clip", "#notices")
    desk.press_keys("Alt+W")
    desk.keys("img", Keys.ENTER)
    desk.until(lambda: desk.all("#search .found button"))
    desk.keys(Keys.ESCAPE)
    desk.press_keys("Alt+R")
    desk.until(lambda: desk.all("#rename .speaker"))
    desk.keys(Keys.ESCAPE)
    desk.press("nav .owner")
    desk.until(lambda: desk.all("#members tbody tr"))
    assert desk.all("img") == [] and desk.run("return window.hacked") is None
    assert desk.run("return violations") == []


@pytest.mark.parametrize("width", [400, 1000])
def test_nothing_stands_beyond_the_edge(desk: Desk, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    desk.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        desk.open()
        desk.rewrite(0, "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz (laughs)")
        desk.press_keys("F1")
        widest = (
            "Math.max(...[...document.querySelectorAll('body, dialog, dialog[open] *, body > *, main *')]"
        )
        assert desk.run(f"return {widest}.map((each) => each.getBoundingClientRect().right))") <= width
        assert desk.run("return document.documentElement.scrollWidth") <= width
    finally:
        desk.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


CONTRAST = """
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour, below) => {
    for (const paint of [`rgb(${below})`, colour]) {
      canvas.fillStyle = paint;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const weights = [0.2126, 0.7152, 0.0722];
  const light = (channels) => channels.reduce((sum, part, at) => sum + weights[at] * linear(part / 255), 0);
  const style = (element) => getComputedStyle(element);
  const paper = (element) => (element ? rgb(style(element).backgroundColor, paper(element.parentElement)) : [255, 255, 255]);
  const says = (each) => each.matches("textarea, input, select")
    || [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const texts = [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility() && says(each));
  return texts.map((each) => {
    const below = paper(each);
    const [a, b] = [light(below), light(rgb(style(each).color, below))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), `${each.tagName}.${each.className} ${each.textContent.trim().slice(0, 30)}`];
  }).filter(([ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(desk: Desk, scheme: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    desk.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        desk.open()
        desk.rewrite(1, "[S5] Nou ja.")
        desk.says("S5", "#turns li:last-child .fault")
        desk.press_keys("Alt+O")
        assert desk.run(CONTRAST) == []
        desk.press_keys("Alt+X")
        assert desk.run(CONTRAST) == []
        desk.keys(Keys.ESCAPE)
        desk.press("nav a[href='#progress']")
        desk.until(lambda: desk.find("#agreement").text)
        assert desk.run(CONTRAST) == []
    finally:
        desk.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_everything_that_can_be_pressed_has_a_name(desk: Desk) -> None:
    unnamed = """
      const all = [...document.querySelectorAll("button, select, textarea, input, [role=img], meter")];
      const says = (each) => each.matches("button") && each.textContent.trim();
      const named = (each) => each.getAttribute("aria-label") || each.labels?.length || says(each);
      return all.filter((each) => each.checkVisibility() && !named(each)).map((each) => each.outerHTML.slice(0, 80));
    """
    assert desk.run(unnamed) == []
    tree = desk.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    names = {node["name"]["value"] for node in tree if "name" in node and not node["ignored"]}
    assert {"Turn 1, S1, 2.00 to 4.00 seconds", "Turn 1, verbatim", "Turn 2, clean"} <= names
