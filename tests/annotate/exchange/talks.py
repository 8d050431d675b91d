"""Clips of a recording, made up: with all that people may have written, and what a file makes of them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from rosella import dialogue
from rosella.annotate.exchange.formats import Format
from rosella.annotate.exchange.merging import Dialect, Known, Merged, merge
from rosella.annotate.exchange.sheet import OVERLAP, Mark, Note, Sheet, folded, milliseconds, verdict_text
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState, check_name, checked
from rosella.errors import UserError
from rosella.records import Turn

ID = "a1" * 16
DURATION = 600_000

CURIOUS = (
    'hij zei "nee"', "„Ä ö ß ñ ø” (laughs)", "[S1 of S1] [s] [S", "שלום, מה שלומך?", "مرحبا بالعالم", "a --> b",
    "<i>x</i> &amp; R&B &euml;", "{\\an8} hoi", "Ben: ja. - Nee. - Wat?", "- een - twee", "'s avonds, zo'n 3,5%",
    "00:00:01,000 --> 00:00:02,000", "x\u00a0y\u200bz", "👩‍👩‍👧 🙂", "WEBVTT", "1", '"', "]]>", "<!-- <![CDATA[", "\\\"\\n",
)  # fmt: skip


def is_text(text: str) -> bool:
    try:
        return dialogue.normalise(text) == text and not dialogue.speaker_tags(text)
    except UserError:
        return False


def is_name(name: str) -> bool:
    try:
        return check_name(name) == name
    except UserError:
        return False


_writable = st.characters(exclude_categories=["Cc", "Cs", "Cn"])
_printable = st.characters(exclude_categories=["C", "Z"])
texts = (
    (st.sampled_from(CURIOUS) | st.text(_writable, min_size=1, max_size=30))
    .map(lambda text: unicodedata.normalize("NFC", text).strip())
    .filter(is_text)
)
names = (
    st.sampled_from(["Anna", "anna", "Ben Smit", "A: b", "COMMENT", "OVERLAP", "Anna (clean)", "- x", "A  B"])
    | st.text(_printable, min_size=1, max_size=12).map(lambda name: unicodedata.normalize("NFC", name))
).filter(is_name)


@st.composite
def talks(draw: st.DrawFn) -> list[ClipState]:
    """One to three clips, in order of time, of at most four speakers."""
    speakers = draw(
        st.lists(names, min_size=1, max_size=4, unique_by=lambda name: folded(name.strip("-–— :")))
    )
    clips: list[ClipState] = []
    time = 0
    for _ in range(draw(st.integers(1, 3))):
        start = time + draw(st.integers(0, 3000))
        turns, time = draw(_turns(start, speakers))
        remarked = {"reason": draw(st.none() | texts), "comment": draw(st.none() | texts)}
        verdict = draw(st.sampled_from([None, "accepted", "rejected", "second"]))
        clips.append(ClipState(start / 1000, time / 1000, tuple(turns), verdict, **remarked))
    return clips


@st.composite
def _turns(draw: st.DrawFn, start: int, speakers: list[str]) -> tuple[list[Turn], int]:
    turns: list[Turn] = []
    time = start
    for _ in range(draw(st.integers(1, 4))):
        begin = max(start, time + draw(st.integers(-40, 500)) if turns else time)
        time = begin + draw(st.integers(100, 4000))
        overlap = draw(st.sampled_from([False] * 4 + [True]))
        speaker = "" if overlap and draw(st.booleans()) else draw(st.sampled_from(speakers))
        clean = draw(st.none() | st.just("") | texts)
        turns.append(
            Turn(begin / 1000, time / 1000, speaker, draw(st.just("") | texts | texts), clean, overlap)
        )
    return turns, time + draw(st.integers(0, 200))


def sheet_of(states: list[ClipState], format: Format) -> Sheet:
    """What is exported of the clips."""
    has_clean = any(turn.text_clean for state in states for turn in state.turns)
    spans = [(milliseconds(state.start), milliseconds(state.end)) for state in states]
    return Sheet(
        ("talk.wav", "/audio/talk.wav"),
        tuple(Dialect.of(format, states, has_clean, str).lines(states)),
        tuple(Note(*span, verdict_text(s)) for span, s in zip(spans, states, strict=True)),
        tuple(Note(*span, folded(s.comment)) for span, s in zip(spans, states, strict=True)),
        has_clean,
        Mark(ID, 7),
        DURATION,
    )


def file_of(sheet: Sheet, format: Format, folder: Path) -> Path:
    path = folder / f"talk-{sheet.mark}{format.suffix}"
    path.write_text(format.write(sheet), encoding="utf-8")
    return path


def known_of(states: list[ClipState]) -> list[Known]:
    return [
        Known(AnnotatedClip(f"clip-{n}", ID, 0, state, state, None, "model"), state)
        for n, state in enumerate(states)
    ]


def merged(path: Path, format: Format, states: list[ClipState], known: list[Known] | None = None) -> Merged:
    """What a file makes of the clips."""
    speakers = Dialect.of(format, states, False, str).written.values()
    (sheet,) = format.read(path, lambda _: [*speakers, OVERLAP])
    dialect = Dialect.of(format, states, sheet.has_clean, lambda text: f"tidy {text}")
    return merge(sheet, known or known_of(states), dialect, DURATION)


def with_line(sheet: Sheet, number: int, **values: object) -> Sheet:
    """The sheet with another value in one of its lines."""
    lines = list(sheet.lines)
    lines[number] = replace(lines[number], **values)  # type: ignore[arg-type]
    return replace(sheet, lines=tuple(lines))


def with_turn(states: list[ClipState], clip: int, turn: int, **values: object) -> ClipState:
    """A clip with another value in one of its turns, as it is kept."""
    turns = list(states[clip].turns)
    turns[turn] = replace(turns[turn], **values)  # type: ignore[arg-type]
    return replace(states[clip], turns=tuple(turns))


def kept(state: ClipState) -> ClipState:
    return checked(state, 0.0, DURATION / 1000, {turn.speaker for turn in state.turns})
