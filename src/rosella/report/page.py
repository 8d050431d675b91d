"""Building blocks of a self-contained HTML page. All text goes through `text`, the one escape."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from rosella import audio


@dataclass(frozen=True)
class Html:
    """Markup that is already safe; anything else is escaped when it enters a page."""

    markup: str


def text(value: object) -> str:
    """Markup as it is, everything else escaped."""
    return value.markup if isinstance(value, Html) else escape(str(value))


def join(parts: Iterable[object]) -> Html:
    return Html("\n".join(text(part) for part in parts))


def element(tag: str, content: object, kind: str = "") -> Html:
    """`<tag class=kind>content</tag>`."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return Html(f"<{tag}{attribute}>{text(content)}</{tag}>")


def paragraph(content: object, kind: str = "") -> Html:
    return element("p", content, kind)


def section(title: str, *parts: object) -> Html:
    return element("section", join([element("h2", title), *parts]))


def table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], total: Sequence[object] | None = None
) -> Html:
    """Numbers (int, float) are right-aligned, with their headings; `total` is a last row in bold."""
    numeric = [bool(rows) and isinstance(rows[0][column], int | float) for column in range(len(headings))]
    kinds = ["number" if is_number else "" for is_number in numeric]
    head = _row("th", headings, kinds)
    body = [_row("td", row, kinds) for row in rows]
    last = [_row("td", total, kinds, "total")] if total is not None else []
    return element("div", element("table", join([head, *body, *last])), "scroll")


def tiles(shown: Iterable[tuple[str, str]]) -> Html:
    """Numbers that are seen first, each with what it counts."""
    made = [join([element("b", number), element("span", label)]) for number, label in shown]
    return element("div", join(element("div", one, "tile") for one in made), "tiles")


def figure(svg: str, caption: str, kind: str = "") -> Html:
    return element("figure", join([Html(svg), element("figcaption", caption)]), kind)


def player(label: object, wave: np.ndarray, sample_rate: int, comment: str = "") -> Html:
    """An audio player of a mono waveform [N], embedded as MP3, which every browser plays."""
    return player_of(label, mp3(wave, sample_rate, comment))


def player_of(label: object, mp3: str) -> Html:
    """An audio player of what `mp3` made."""
    source = f'<audio controls preload="none" src="data:audio/mpeg;base64,{mp3}"></audio>'
    return element("div", join([element("span", label), Html(source)]), "player")


def render(title: str, parts: Iterable[object], refresh: int | None = None) -> str:
    """The whole page, under its title; one that is written anew loads itself every `refresh` seconds."""
    template = Template((files("rosella.report") / "page.html").read_text(encoding="utf-8"))
    body = join([*parts, Html(_REFRESH % (1000 * refresh))] if refresh else parts)
    return template.substitute(title=escape(title), body=body.markup)


_REFRESH = """<script>
setInterval(() => {
  if (![...document.querySelectorAll("audio")].some(each => !each.paused)) location.reload();
}, %d);
</script>"""
"""Whoever listens is not disturbed."""


def _row(tag: str, cells: Sequence[object], kinds: Sequence[str], row_kind: str = "") -> Html:
    return element(
        "tr", join(element(tag, _cell(cell), kind) for cell, kind in zip(cells, kinds, strict=True)), row_kind
    )


def _cell(value: object) -> object:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def mp3(wave: np.ndarray, sample_rate: int, comment: str = "") -> str:
    """A mono waveform [N] as MP3 in base64; `comment` is what the sound says of itself to whoever saves it."""
    import soundfile

    if sample_rate not in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000):
        wave, sample_rate = audio.resample(wave, sample_rate, 44_100), 44_100
    buffer = io.BytesIO()
    coding: dict[str, Any] = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.8}
    with soundfile.SoundFile(buffer, "w", sample_rate, 1, **coding) as file:
        if comment:
            file.comment = comment
        file.write(np.clip(wave, -1, 1))
    return base64.b64encode(buffer.getvalue()).decode()
