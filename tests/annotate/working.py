"""The page of annotation in a browser, and a server to open it from."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from selenium.webdriver import Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

from annotate import fake_server
from annotate.fake_server import MARGIN, Fake
from rosella import annotate
from rosella.web import pages
from serve.browsing import Page

STATIC = Path(annotate.__file__).parent / "static"
HELD = {"Ctrl": Keys.CONTROL, "Alt": Keys.ALT, "Shift": Keys.SHIFT}


SPY = """
window.mistakes = [];
window.plays = [];
addEventListener("error", ({ message }) => mistakes.push(message));
addEventListener("unhandledrejection", ({ reason }) => mistakes.push(String(reason?.stack ?? reason)));
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  window.media = this;
  plays.push(this.currentTime);
  return play.call(this);
};
"""
"""Notes what the page does wrong, and what it plays."""


class Desk(Page):
    """What an annotator sees and presses."""

    origin = 2.0 - MARGIN
    """The second of the recording at which the sound of the first clip begins."""

    def press_keys(self, chord: str) -> None:
        """A chord as keys.js writes it, to whatever has the focus."""
        *held, key = chord.split("+")
        named = {
            "ArrowDown": Keys.DOWN,
            "ArrowUp": Keys.UP,
            "Backspace": Keys.BACKSPACE,
            "Delete": Keys.DELETE,
        }
        code = named.get(key) or getattr(Keys, key.upper(), key.lower())
        actions = ActionChains(self.driver)
        for name in held:
            actions.key_down(HELD[name])
        actions.send_keys(code)
        for name in held:
            actions.key_up(HELD[name])
        actions.perform()

    def hears(self, start: float, end: float) -> None:
        """An excerpt of the recording, seconds, is played now or was played last."""
        self.until(lambda: self.run("return media.paused"))
        begun, ended = self.run("return [plays.at(-1), media.currentTime]")
        assert abs(begun + self.origin - start) < 0.02
        assert -0.02 < ended + self.origin - end < 0.15

    @property
    def title(self) -> str:
        return self.find("#clip-title").text

    def box(self, index: int, field: str = "text") -> WebElement:
        return self.all(f"#turns .{field} textarea")[index]

    @property
    def written(self) -> list[str]:
        """The verbatim texts."""
        return self.values("#turns .text textarea")

    @property
    def cleaned(self) -> list[str]:
        return self.values("#turns .text_clean textarea")

    @property
    def voices(self) -> list[str]:
        return self.values("#turns select")

    def values(self, selector: str) -> list[str]:
        return self.run(f"return [...document.querySelectorAll({selector!r})].map(({{ value }}) => value)")

    @property
    def selected(self) -> str:
        """What is selected in the box that has the focus."""
        return self.run("""
            const { value, selectionStart, selectionEnd } = document.activeElement;
            return value.slice(selectionStart, selectionEnd);
        """)

    def to_start(self) -> None:
        self.press_keys("Ctrl+Home")

    def to_end(self) -> None:
        self.press_keys("Ctrl+End")

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Seconds, as they are shown."""
        shown = [each.text.removesuffix(" s").split(" – ") for each in self.all("#turns .times")]
        return [(float(start), float(end)) for start, end in shown]

    def rewrite(self, index: int, text: str, field: str = "text") -> None:
        """Write a turn anew, by keys."""
        self.box(index, field).click()
        self.shortcut("a")
        self.keys(text)

    def opened(self, clip: str) -> None:
        self.until(lambda: self.title == f"A talk, clip {clip}")

    def offline(self, away: bool) -> None:
        """Take the network away from the browser, or give it back."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        conditions = {"offline": away, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def sees(self, selector: str) -> bool:
        return self.run(f"return !!document.querySelector({selector!r})?.checkVisibility()")

    def regions(self) -> list[Any]:
        """The turns and the selection that are drawn on the waveform."""
        inside = "document.querySelector('#wave > div').shadowRoot"
        return self.run(f"return [...{inside}.querySelectorAll('[part~=region]')]")


def application(fake: Fake) -> FastAPI:
    """The page over a server that only seems to be one."""
    made = fake_server.app(fake)
    made.include_router(pages.router(STATIC, "microphone=()"))
    return made


@contextmanager
def served(made: FastAPI, port: int = 0) -> Generator[str]:
    """The address of a real server of an application."""
    settings = uvicorn.Config(made, port=port, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
