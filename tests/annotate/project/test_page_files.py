"""The files of the page: all named, all there, and none that asks others or reads what people write as HTML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from annotate.working import STATIC
from rosella.web.pages import SHARED

LONGEST = 350
"""Lines of a file, as in CONTRIBUTING."""


def test_the_page_names_only_files_that_are_there() -> None:
    index = (STATIC / "index.html").read_text("utf-8")
    named = set(re.findall(r'(?:src|href)="/static/([^"]+)"', index))
    for module in STATIC.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', module.read_text("utf-8")))
    there = {path.relative_to(root).as_posix() for root in (STATIC, SHARED) for path in root.rglob("*.*")}
    assert named - there == set()
    assert {path.name for path in STATIC.glob("*.*")} - named == {"index.html"}


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.*")), ids=lambda path: path.name)
def test_no_file_asks_others_or_makes_html_of_text(path: Path) -> None:
    text = path.read_text("utf-8")
    assert (
        re.findall(r"https?://(?!www\.w3\.org/2000/svg)|innerHTML|outerHTML|insertAdjacentHTML|eval\(", text)
        == []
    )
    assert len(text.splitlines()) <= LONGEST


def test_every_button_asks_for_something_that_has_a_key() -> None:
    asked = set(re.findall(r'data-does="(\w+)"', (STATIC / "index.html").read_text("utf-8")))
    keys = set(re.findall(r'\["(\w+)", "[^"]+", "[^"]+"\]', (STATIC / "keys.js").read_text("utf-8")))
    assert asked and asked <= keys
