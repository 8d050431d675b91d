"""A browser with the page in it, and an ear for what it plays."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from serve.fake_speech import RATE

SPY = """
window.sounds = [];
window.violations = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when = 0) {
  const { length, sampleRate } = this.buffer;
  sounds.push({ at: Math.round(when * sampleRate), length, rate: sampleRate, context: this.context.sampleRate,
                samples: [...this.buffer.getChannelData(0)] });
  start.call(this, when);
};
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + event.blockedURI));
"""
"""Notes what is heard, and what the policy forbade."""


FLAGS = """
    --headless=new --no-sandbox --use-fake-device-for-media-stream --use-fake-ui-for-media-stream
    --autoplay-policy=no-user-gesture-required --window-size=1200,900
"""


def chromium(downloads: Path) -> Chrome:
    """Debian's, with a microphone that beeps.

    It does not wait until a page is loaded: its driver may wait for ever where the page before still asked for something.
    """
    options = ChromeOptions()
    options.page_load_strategy = "none"
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    chrome = Chrome(options, Service("/usr/bin/chromedriver"))
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SPY})
    return chrome


def until(driver: Chrome, met: Callable[[], Any]) -> Any:
    return WebDriverWait(driver, 20, 0.02).until(lambda _: met())


def leave(driver: Chrome) -> None:
    """The page that is open, with which ends what it still asks for."""
    driver.get("about:blank")
    until(driver, lambda: driver.execute_script("return location.href") == "about:blank")


class Page:
    """The page in a browser; `sign` is what shows that it is there."""

    def __init__(self, driver: Chrome, address: str, downloads: Path, sign: str = "#turns li") -> None:
        self.driver, self.address, self.downloads, self.sign = driver, address, downloads, sign
        self.open()

    def open(self, at: str = "") -> None:
        """Anew, at a place of it."""
        leave(self.driver)  # or only what stands behind the # would change
        self.driver.get(self.address + at)
        self.until(lambda: self.all(self.sign))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, selector: str) -> None:
        """By keyboard."""
        self.find(selector).send_keys(Keys.ENTER)

    def click(self, element: WebElement) -> None:
        """Where a person would have scrolled to it, above the bar."""
        self.driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()

    def keys(self, *keys: str) -> None:
        """To whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def shortcut(self, key: str) -> None:
        """With Ctrl."""
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(key).key_up(Keys.CONTROL).perform()

    def tab_to(self, selector: str) -> None:
        wanted = self.find(selector)
        for _ in range(60):
            if self.driver.switch_to.active_element == wanted:
                return
            self.keys(Keys.TAB)
        raise AssertionError(f"no Tab leads to {selector}")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def until(self, met: Callable[[], Any]) -> Any:
        return until(self.driver, met)

    def says(self, sentence: str, where: str = "#status") -> None:
        try:
            self.until(lambda: sentence in self.find(where).text)
        except Exception as error:
            raise AssertionError(f"{where} says {self.find(where).text!r}") from error

    def speak(self, *turns: str) -> None:
        """Writes turns into the empty page, speaks them and listens to the end."""
        self.write(*turns)
        self.press("#speak")
        self.says("Done.")
        self.until(lambda: self.find("#play").text == "Play")

    def write(self, *turns: str) -> None:
        """The turns of an empty page, said by S1 and S2 in turn."""
        for number, text in enumerate(turns):
            if number:
                self.keys(Keys.ENTER)
            else:
                self.find("#turns textarea").click()
            self.keys(text)

    @property
    def texts(self) -> list[str]:
        return [self.value(field) for field in self.all("#turns textarea")]

    def value(self, element: WebElement) -> str:
        return str(element.get_property("value"))

    def heard(self) -> np.ndarray:
        """The samples int16 that were played since this was asked last.

        Each piece follows the one before it to the sample; or nothing came in time, and the player waits for more.
        """
        sounds = self.run("return sounds.splice(0)")
        assert all(sound["rate"] == sound["context"] == RATE for sound in sounds)
        starts = np.array([sound["at"] for sound in sounds])
        gaps = starts[1:] - starts[:-1] - [sound["length"] for sound in sounds[:-1]]
        assert all(gap == 0 or gap > 0.3 * RATE for gap in gaps)
        return np.round(np.concatenate([sound["samples"] for sound in sounds]) * 32768).astype(np.int16)

    def downloaded(self, name: str) -> bytes:
        path = self.downloads / name
        # Chromium holds the name with an empty file until all is there.
        self.until(lambda: path.is_file() and path.stat().st_size)
        content = path.read_bytes()
        path.unlink()
        return content

    def sound(self) -> np.ndarray:
        """The samples int16 of the file that the page gives."""
        self.press("#wav")
        return samples_of(self.downloaded("dialogue.wav"))


def samples_of(file: bytes) -> np.ndarray:
    """The samples int16 [n] of a WAV file."""
    with wave.open(io.BytesIO(file)) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(read.readframes(read.getnframes()), "<i2")
