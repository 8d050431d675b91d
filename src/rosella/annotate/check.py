"""Whether what a person writes keeps to the rules of transcripts: each fault in a sentence, while he writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from rosella import dialogue
from rosella.corpus import disfluencies
from rosella.errors import UserError
from rosella.records import Turn

Field = Literal["text", "text_clean"]
_SQUARE = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True)
class Fault:
    """What is wrong in a turn, by its number from 0."""

    turn: int
    field: Field
    message: str


def faults_of(turns: Sequence[Turn]) -> list[Fault]:
    """All that is wrong in the texts; of turns that are not to be used, nothing."""
    return [
        Fault(number, field, message)
        for number, turn in enumerate(turns)
        if not turn.overlap
        for field, message in _of_turn(turn)
    ]


def _of_turn(turn: Turn) -> Iterator[tuple[Field, str]]:
    for message in _of_text(turn.text):
        yield "text", message
    clean = turn.text_clean or ""
    for message in _of_text(clean):
        yield "text_clean", message
    if heard := disfluencies.events(clean):
        yield "text_clean", f"{heard[0]} is for the verbatim text: leave it out of the clean one."
    if clean.strip() and not turn.text.strip():
        yield "text", "The verbatim text is empty and the clean one is not: write what was said."


def _of_text(text: str) -> Iterator[str]:
    if not text.strip():
        return
    if tags := dialogue.speaker_tags(text):
        yield f"A turn is of one speaker: split it at {tags[0]} instead of writing it."
        return
    try:
        dialogue.normalise(text)
    except UserError as error:
        yield str(error)
        return
    if text.count("(") != text.count(")"):
        yield "A parenthesis is not closed: write events as (laughs)."
    if brackets := _SQUARE.search(text):
        yield f"{brackets[0]} would be read aloud: write events in parentheses, such as (laughs)."
    for event in disfluencies.events(text):
        if event not in disfluencies.EVENTS:
            near = get_close_matches(event, disfluencies.EVENTS, 1)
            yield f"{event} is no event of the list{f': do you mean {near[0]}?' if near else ': choose one, or none.'}"
