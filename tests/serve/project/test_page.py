"""What a person does with the page of the server, in a real browser; run by name, with `-m browser`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from selenium.webdriver import Chrome, Keys

from rosella.serve import page
from rosella.speak.subtitles import Cue, srt, vtt
from serve import fake_speech
from serve.browsing import Page, chromium, leave, samples_of
from serve.fake_speech import LATER, MADE_BY, RATE, SECONDS, Fake, said

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Chrome]:
    chrome = chromium(downloads)
    yield chrome
    chrome.quit()


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def application(fake: Fake) -> FastAPI:
    """All of the server."""
    application = fake_speech.app(fake)
    application.include_router(page.router())
    return application


@pytest.fixture
def address(application: FastAPI) -> Iterator[str]:
    """Of a server of its own for each test, so that the browser has kept nothing of it."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def shown(driver: Chrome, address: str, downloads: Path) -> Iterator[Page]:
    """The page; whatever a test does with it, nothing is asked of anybody else, and nothing that the policy forbids."""
    shown = Page(driver, address, downloads)
    yield shown
    loaded = shown.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert loaded and [url for url in loaded if not url.startswith((address, f"blob:{address}"))] == []
    assert shown.run("return violations") == []
    leave(driver)  # which ends what is still being asked for


WEBM = b"\x1a\x45\xdf\xa3"
"""Begins what the browser records."""
FADE = 0.003
"""Seconds beside a seam in which a new take is faded in and out."""
ONE, TWO = "Goedemorgen!", "(laughs) Ook goedemorgen. [pause:500ms] Hoe gaat het?"
SCRIPT = f"[S1] {ONE}\n[S2] {TWO}"


def test_from_an_empty_page_to_heard_speech_and_its_files_by_keyboard_alone(shown: Page, fake: Fake) -> None:
    shown.tab_to("#turns textarea")
    shown.keys(ONE, Keys.ENTER, TWO)
    shown.shortcut(Keys.ENTER)
    shown.says("Done.")
    assert fake.asked[0].input == SCRIPT
    samples, cues = said(SCRIPT)
    shown.until(lambda: shown.find("#play").text == "Play")  # it was heard to its end
    assert np.array_equal(shown.heard(), samples)
    shown.tab_to("#wav")
    shown.keys(Keys.ENTER)
    file = shown.downloaded("dialogue.wav")
    assert np.array_equal(samples_of(file), samples)
    assert MADE_BY.encode() in file[:200]
    assert int.from_bytes(file[4:8], "little") == len(file) - 8
    spoken = [Cue(cue["start"], cue["end"], cue["speaker"], cue["text"]) for cue in cues]
    for suffix, written in (("srt", srt(spoken)), ("vtt", vtt(spoken))):
        shown.tab_to(f"#{suffix}")
        shown.keys(Keys.ENTER)
        assert shown.downloaded(f"dialogue.{suffix}").decode() == written


def test_speech_is_heard_while_it_is_made(shown: Page, fake: Fake) -> None:
    fake.held_after = 3
    shown.write(ONE, TWO)
    shown.press("#speak")
    shown.says("Speaking")
    shown.until(lambda: shown.run("return sounds.length") > 0)
    fake.held_after = None
    shown.says("Done.")
    shown.until(lambda: shown.find("#play").text == "Play")
    assert np.array_equal(shown.heard(), said(SCRIPT)[0])


def test_the_turn_that_is_heard_is_shown_and_can_be_heard_alone(shown: Page) -> None:
    shown.speak(ONE, TWO)
    shown.heard()
    assert shown.all("[aria-current]") == []
    shown.all("#turns .hear")[1].send_keys(Keys.ENTER)
    second = shown.all("#turns li")[1]
    shown.until(lambda: shown.all("[aria-current]") == [second])
    shown.until(lambda: shown.all("[aria-current]") == [])
    start = round(len(ONE) * SECONDS * RATE)
    assert np.array_equal(shown.heard(), said(SCRIPT)[0][start:])
    regions = "return document.querySelector('#wave > div').shadowRoot.querySelectorAll('[part~=region]')"
    assert [region.text for region in shown.run(regions)] == ["S1", "S2"]
    shown.click(shown.run(regions)[0])
    shown.until(lambda: shown.all("[aria-current]") == shown.all("#turns li")[:1])
    shown.until(lambda: shown.find("#play").text == "Play")
    assert np.array_equal(shown.heard(), said(f"[S1] {ONE}")[0])


def test_a_turn_that_is_said_again_replaces_that_turn_alone(shown: Page, fake: Fake) -> None:
    three, other = "[pause:250ms] Goed. [pause:1s]", "[pause:100ms] Prima, dank je wel! [pause:1s]"
    shown.speak(ONE, three, TWO)
    assert shown.all(".changed") == [] and not shown.find("#stale").is_displayed()
    field = shown.all("#turns textarea")[1]
    field.clear()
    field.send_keys(other)
    assert shown.all(".changed") == shown.all("#turns li")[1:2] and shown.find("#stale").is_displayed()
    shown.heard()
    shown.all("#turns .again")[1].send_keys(Keys.ENTER)
    shown.says("Done.")
    shown.until(lambda: shown.find("#play").text == "Play")
    assert (fake.asked[1].input, fake.asked[1].continue_from) == (f"[S2] {other}", "speech_0")
    assert fake.asked[1].seed is not None
    take = said(f"[S2] {other}", LATER)[0]
    assert np.array_equal(shown.heard(), take)
    parts = [said(f"[S1] {ONE}")[0], take, said(f"[S1] {TWO}")[0]]
    expected, found = np.concatenate(parts), shown.sound()
    seams = np.cumsum([len(part) for part in parts])[:2]
    far = np.min(np.abs(np.arange(len(expected))[:, None] - seams), axis=1) > FADE * RATE
    assert found.shape == expected.shape and np.array_equal(found[far], expected[far])
    assert shown.all(".changed") == [] and not shown.find("#stale").is_displayed()
    shown.press("#srt")
    cues = said(f"[S1] {ONE} [S2] {other} [S1] {TWO}")[1]
    spoken = [Cue(cue["start"], cue["end"], cue["speaker"], cue["text"]) for cue in cues]
    assert shown.downloaded("dialogue.srt").decode() == srt(spoken)


def test_a_fault_amid_speech_is_said_and_what_was_heard_is_kept(shown: Page, fake: Fake) -> None:
    fake.breaks_after = 3
    shown.write(ONE, TWO)
    shown.press("#speak")
    shown.says("The model broke down; speak again.", "#fault p")
    partly = shown.sound()
    assert 0 < len(partly) < len(said(SCRIPT)[0])
    assert np.array_equal(partly, said(SCRIPT)[0][: len(partly)])
    fake.breaks_after = None
    shown.press("#fault .again")
    shown.says("Done.")
    assert np.array_equal(shown.sound(), said(SCRIPT)[0])


def test_a_whole_speech_outlives_a_later_one_that_fails(shown: Page, fake: Fake) -> None:
    shown.speak(ONE, TWO)
    fake.hangs_up_after = 3
    shown.press("#speak")
    shown.says("The connection to the server was lost.", "#fault p")
    assert np.array_equal(shown.sound(), said(SCRIPT)[0])


def test_a_busy_server_says_when_to_try_again(shown: Page, fake: Fake) -> None:
    fake.busy_for = 120
    shown.write(ONE)
    shown.press("#speak")
    shown.says("All places are taken; wait a little. Try again in 120 s.", "#fault p")
    shown.says("Try again (", "#fault .again")
    fake.busy_for = None
    shown.press("#fault .again")
    shown.says("Done.")
    assert shown.find("#fault").text == ""


def test_escape_stops_the_sound_and_the_request(shown: Page, fake: Fake) -> None:
    fake.held_after = 3
    shown.write(ONE, TWO)
    shown.shortcut(Keys.ENTER)
    shown.says("Speaking")
    shown.keys(Keys.ESCAPE)
    shown.says("Stopped.")
    assert shown.find("#play").text == "Play"
    shown.until(lambda: fake.given_up == 1)


def test_space_plays_but_for_where_one_writes(shown: Page) -> None:
    shown.speak(ONE, TWO)
    shown.find("#turns textarea").send_keys(" ")
    assert shown.texts[0] == f"{ONE} " and shown.find("#play").text == "Play"
    shown.click(shown.find("h1"))
    shown.keys(" ")
    shown.until(lambda: shown.find("#play").text == "Pause")
    shown.keys(" ")
    shown.until(lambda: shown.find("#play").text == "Play")
    time = shown.find("#time").text
    assert time == shown.find("#time").text and "/" in time  # paused, not ended


def test_a_script_is_divided_and_turns_can_be_moved_and_removed(shown: Page) -> None:
    shown.find("#turns textarea").click()
    shown.driver.execute_cdp_cmd("Input.insertText", {"text": "[S2] Een. [S3] Twee.\n\n[S2] Drie."})
    assert shown.texts == ["Een.", "Twee.", "Drie.", ""]
    shown.all("#turns .down")[0].send_keys(Keys.ENTER)
    shown.keys(Keys.ENTER)  # the button keeps the focus
    assert shown.texts == ["Twee.", "Drie.", "Een.", ""]
    shown.all("#turns .remove")[1].send_keys(Keys.ENTER)
    assert shown.texts == ["Twee.", "Een.", ""]
    assert [each.text for each in shown.all("#voices b")] == ["S2", "S3"]


def test_what_was_written_and_spoken_outlives_a_reload(shown: Page, fake: Fake) -> None:
    chosen = fake.add_voice("Anna")
    shown.open()
    shown.until(lambda: shown.all(f"#voices option[value={chosen}]"))
    shown.find(f"#voices option[value={chosen}]").click()
    shown.speak(ONE, TWO)
    shown.open()
    shown.until(lambda: shown.find("#wav").is_displayed())
    assert shown.texts == [ONE, TWO]
    assert np.array_equal(shown.sound(), said(SCRIPT)[0])
    shown.press("#vtt")
    assert "<v Anna>" in shown.downloaded("dialogue.vtt").decode()
    shown.all("#turns .again")[1].send_keys(Keys.ENTER)
    shown.says("Done.")
    assert [asked.voices for asked in fake.asked] == [{"S1": {"id": chosen}}, {}]


def test_a_voice_is_recorded_after_its_owner_agreed(shown: Page, fake: Fake) -> None:
    shown.find("#voices li:last-child .record").send_keys(Keys.ENTER)
    shown.says(fake_speech.PHRASES["en"], "#phrase")  # the browser's language
    shown.find("[name=language]").send_keys("Dutch")
    shown.says(fake_speech.PHRASES["nl"], "#phrase")
    assert not shown.find(".sample .record").is_enabled()
    shown.find("[name=name]").send_keys("Bram B.", Keys.ENTER)
    shown.press(".agree")
    assert shown.run("return document.querySelector('[name=name]').validity.patternMismatch")
    shown.find("[name=name]").send_keys(Keys.BACKSPACE * 3)
    shown.press(".agree")
    shown.says("Record it first", ".consent .told")
    _record(shown, ".consent")
    shown.press(".agree")
    shown.says("Thank you", ".consent .told")
    shown.find("[name=text]").send_keys("Ik zeg dit.")
    _record(shown, ".sample")
    shown.press(".save")
    shown.says("S2 now speaks as Bram.")
    assert [(what, file[:4]) for what, file in fake.heard] == [("consent", WEBM), ("sample", WEBM)]
    assert fake.consents["consent_0"] | {"name": "Bram", "language": "nl"} == fake.consents["consent_0"]
    saved = fake.voices["voice_0"]
    assert (saved["name"], saved["text"], saved["consent"]) == ("Bram", "Ik zeg dit.", "consent_0")
    shown.press("#voices .record")
    assert not shown.find(".sample .record").is_enabled()  # another voice needs its own consent
    shown.press(".cancel")
    shown.speak("Een.", "Twee.")
    assert fake.asked[0].voices == {"S2": {"id": "voice_0"}}
    shown.press("#voices .remove:not([hidden])")
    shown.driver.switch_to.alert.accept()
    shown.until(lambda: not fake.voices)


def _record(shown: Page, part: str) -> None:
    shown.press(f"{part} .take .record")
    shown.says("Stop", f"{part} .take .record")
    shown.press(f"{part} .take .record")
    shown.says("Record anew", f"{part} .take .record")


@pytest.mark.parametrize("width", [320, 400])
def test_nothing_stands_beyond_the_edge_of_a_phone(shown: Page, fake: Fake, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    shown.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        fake.add_voice("A" * 60)
        shown.open()
        shown.speak("Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz", TWO)
        fake.busy_for = 5
        shown.press("#speak")
        shown.says("All places", "#fault p")
        shown.press("#voices .record")
        shown.says(fake_speech.PHRASES["en"], "#phrase")
        widest = "Math.max(...[...document.querySelectorAll('body, dialog, dialog *, body > *, main *')]"
        assert shown.run(f"return {widest}.map((each) => each.getBoundingClientRect().right))") <= width
        assert shown.run("return document.documentElement.scrollWidth") == width
    finally:
        shown.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_text_is_text_wherever_it_is_shown(shown: Page, fake: Fake) -> None:
    evil = "<img src=x onerror=window.hacked=1>"
    fake.add_voice(evil)
    shown.open()
    shown.until(lambda: len(shown.all("#voices option")) == 4)
    shown.find("#voices option:last-child").click()
    assert evil in shown.find("#voices optgroup option").get_property("textContent")
    shown.speak(evil, evil)
    shown.press("#vtt")
    assert "<img" not in shown.downloaded("dialogue.vtt").decode()
    shown.open()
    shown.until(lambda: shown.find("#wav").is_displayed())
    assert shown.texts == [evil, evil]
    assert shown.all("img") == [] and shown.run("return window.hacked") is None


def test_the_policy_holds_in_the_browser(driver: Chrome, address: str, downloads: Path) -> None:
    shown = Page(driver, address, downloads)
    shown.run("fetch('http://127.0.0.1:9/').catch(() => {})")
    shown.until(lambda: shown.run("return violations.length"))
    assert shown.run("return violations") == ["connect-srchttp://127.0.0.1:9/"]


@pytest.mark.parametrize(
    "text",
    [
        "Kort.",
        "a --> b & <c>",
        "Een zin van meer dan twee regels lang, " * 4,
        "woord " * 40,
        "Ja " + "x" * 60,
        "Een twee drie vier " + "y" * 150 + " vijf",
    ],
)
def test_subtitles_are_those_of_the_command_line(shown: Page, text: str) -> None:
    cues = [{"start": 0.0, "end": 3.3335, "speaker": "Anna & <Bram>", "text": text}]
    cues.append({"start": 3723.5, "end": 3725, "speaker": "S2", "text": "Einde."})
    script = "import('/static/subtitles.js').then(({srt, vtt}) => arguments[1]([srt(arguments[0]), vtt(arguments[0])]))"
    spoken = [Cue(cue["start"], cue["end"], cue["speaker"], cue["text"]) for cue in cues]
    assert shown.driver.execute_async_script(script, cues) == [srt(spoken), vtt(spoken)]
