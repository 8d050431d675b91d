"""Take the pictures of docs/annotating.md anew: the page over the demo podcast with planted errors, in a headless Chromium.

usage: python tools/annotating_pictures.py [FOLDER]   (docs/annotating; Chromium and its driver must be installed)
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from PIL import Image
from selenium.webdriver import Keys

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from annotate.order import by_queue
from annotate.planted import Annotator, Truth, plant
from annotate.playing import CLOCK, Player
from annotate.small import serving
from annotate.working import Desk
from rosella.annotate import queue
from rosella.annotate.desk import Desk as Server
from rosella.corpus.catalogue.corrections import Change, read, save
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.corrections.clip import ClipState
from serve.browsing import chromium, leave

DOCS = Path(__file__).parents[1] / "docs/annotating"
WIDTH, COLOURS = 1400, 96
MOST = 120_000
"""Bytes of a picture."""
PEOPLE = (Annotator("Anna"), Annotator("Ben", 1.4))
HEIGHT = """
scrollTo(0, 0);
const shown = [...document.querySelectorAll("main:not([hidden]), dialog[open]")];
return Math.ceil(Math.max(...shown.map((each) => each.getBoundingClientRect().bottom))) + 16;
"""
DRAWN = "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(arguments[0])), 500)"
"""The waveform is drawn anew some time after its size has changed, and tells of it to nobody."""
WORKED = 24
"""Clips that people have done before."""


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else DOCS
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        catalogue = Catalogue.open(f"sqlite:///{place}/catalogue.sqlite")
        truth = plant(catalogue, clips=90, recordings=4, sound=Path(place))
        queue.refresh(catalogue)
        list(islice(by_queue(catalogue, truth, PEOPLE), WORKED))
        driver = chromium(Path(place))
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
        try:
            with serving(Server(catalogue, "podcast", place, local=True)) as address:
                desk = Desk(driver, address, Path(place))
                for name, show in pictures(catalogue, truth).items():
                    show(desk)
                    (folder / f"{name}.png").write_bytes(picture(desk))
                leave(driver)
        finally:
            driver.quit()
        catalogue.close()


def pictures(catalogue: Catalogue, truth: Truth) -> dict[str, Callable[[Desk], None]]:
    fitting = (
        id for id, state in truth.states.items() if len(state.turns) == 3 and waits(catalogue, truth, id)
    )
    first, second = islice(fitting, 2)
    return {
        "clip": partial(corrected, truth.states[first], first),
        "search": searched,
        "progress": progress,
        "merge": partial(merged, catalogue, second),
    }


def waits(catalogue: Catalogue, truth: Truth, id: str) -> bool:
    """Whether it is a clip that nobody has done, with turns as they should be and some wrong words."""
    clip = read(catalogue, id)
    same = [turn.speaker for turn in clip.draft.turns] == [turn.speaker for turn in truth.states[id].turns]
    return clip.version == 0 and same and 2 <= truth.errors(clip) <= 4


def corrected(right: ClipState, clip: str, desk: Desk) -> None:
    """A clip that was corrected, and is not accepted yet."""
    opened(desk, clip)
    Player(desk).correct(right)


def opened(desk: Desk, clip: str) -> None:
    desk.open(f"/#clip/{clip}")
    desk.until(lambda: desk.written and desk.regions())
    desk.press_keys("Escape")


def merged(catalogue: Catalogue, clip: str, desk: Desk) -> None:
    """Two people wrote the same turn at once."""
    opened(desk, clip)
    found = read(catalogue, clip)
    first, second, *others = found.state.turns
    changed = (
        replace(first, text=f"Uhm, {first.text}"),
        replace(second, text=f"{second.text} (laughs)"),
        *others,
    )
    change = Change(clip, found.version, replace(found.state, turns=changed), "edit")
    desk.to_start()
    desk.keys("Eh, ")
    save(catalogue, "Ben", [change], "at the same time")
    desk.press_keys("Ctrl+S")
    desk.until(lambda: desk.sees("#merge"))


def searched(desk: Desk) -> None:
    """A word in all clips, and another to be put in its place."""
    desk.press_keys("Alt+W")
    desk.until(lambda: desk.sees("#search"))
    desk.keys("morgen", Keys.TAB, "ochtend", Keys.ENTER)
    desk.until(lambda: desk.all("#search .found li"))


def progress(desk: Desk) -> None:
    leave(desk.driver)
    desk.driver.get(f"{desk.address}/#progress")
    desk.until(lambda: desk.all("#by-person td"))


def picture(desk: Desk) -> bytes:
    """What is on the page, as high as it is, or as a dialog over it."""
    chrome = desk.driver
    chrome.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    size = {"width": WIDTH, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": 900})
    chrome.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    )
    height = desk.run(HEIGHT)
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height})
    chrome.execute_async_script(DRAWN)
    shot = base64.b64decode(chrome.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    small = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    assert small.tell() <= MOST, f"{small.tell()} bytes are too many for a picture"
    return small.getvalue()


if __name__ == "__main__":
    main()
