"""What tests of annotation share: a browser, and the page in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from annotate.fake_server import Fake
from annotate.working import SPY, Desk, application, served
from serve.browsing import chromium, leave


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Chrome]:
    chrome = chromium(downloads)
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SPY})
    yield chrome
    chrome.quit()


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def address(fake: Fake) -> Iterator[str]:
    """Of a server of its own for each test, so that the browser has kept nothing of it."""
    with served(application(fake)) as address:
        yield address


@pytest.fixture
def desk(driver: Chrome, address: str, downloads: Path) -> Iterator[Desk]:
    """The page; whatever a test does with it, nothing is asked of anybody else, and nothing that the policy forbids."""
    desk = Desk(driver, address, downloads)
    yield desk
    loaded = desk.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert loaded and [url for url in loaded if not url.startswith((address, f"blob:{address}"))] == []
    assert desk.run("return violations") == []
    assert desk.run("return mistakes") == []
    leave(driver)
