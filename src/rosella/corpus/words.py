"""The words of a transcript as they are compared: without case and punctuation; a speaker tag is one, and an event."""

from __future__ import annotations

import re

from rosella import dialogue

MARK = re.compile(r"\[S\d\]|\([^()]*\)")
"""A speaker tag or an event."""

_TOKEN = re.compile(r"\[S\d\]|\([^()]*\)|[\w'’-]+")


def words(text: str) -> list[str]:
    """Tags, events and words of a text, lower-cased but for the tags, without punctuation."""
    return [
        token if token in dialogue.TAGS else token.casefold()
        for token in _TOKEN.findall(text)
        if token.strip("-'’")
    ]


def plain_words(text: str) -> list[str]:
    """The words alone, without tags and events."""
    return words(MARK.sub(" ", text))
