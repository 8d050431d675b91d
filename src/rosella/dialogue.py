"""Dialogue to byte ids and back; the one place that knows the text contract.

Text is NFC-normalised UTF-8. The speaker tags `[S1]` ... `[S4]` become the bytes 1 ... 4 and 0 is padding, so
every other control character is refused. Events such as `(laughs)` are ordinary text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from rosella.errors import UserError

PADDING = 0
TAGS = ("[S1]", "[S2]", "[S3]", "[S4]")

_SPACES = str.maketrans(dict.fromkeys("\n\r\t\u2028\u2029", " "))
_TAG = re.compile(r"\[\s*S\s*\d+\s*\]", re.IGNORECASE)
_REFUSED = {"Cc": "control character", "Cs": "lone surrogate", "Cn": "unassigned character"}


def normalise(text: str) -> str:
    """NFC, with newlines and tabs as spaces; raises UserError for text that no model may see."""
    if not text.isprintable():  # most texts are, and that is known at once
        text = text.translate(_SPACES)
    text = unicodedata.normalize("NFC", text)
    for character in "" if text.isprintable() else text:
        reason = _REFUSED.get(unicodedata.category(character))
        if reason:
            raise UserError(f"The text holds a {reason} (U+{ord(character):04X}); remove it.")
    if "<pad>" in text:
        raise UserError("The text holds a literal <pad>, which other programs read as padding; remove it.")
    for tag in _TAG.findall(text):
        if tag not in TAGS:
            raise UserError(f"The speaker tag {tag} is unknown; use one of {', '.join(TAGS)}.")
    if not _TAG.sub("", text).strip():
        raise UserError("The text is empty; write something to say beside speaker tags and spaces.")
    return text


def speaker_tags(text: str) -> list[str]:
    """The known speaker tags of a text, in their order of appearance, repeated ones included."""
    return [tag for tag in _TAG.findall(text) if tag in TAGS]


def untagged(text: str) -> str:
    """The words of all speakers, with single spaces between them."""
    return " ".join(_TAG.sub(" ", text).split())


def tagged(text: str) -> str:
    """The normalised text, said by `[S1]` where it begins with no speaker."""
    text = normalise(text)
    return text if text.lstrip().startswith(TAGS) else f"{TAGS[0]} {text}"


def renumbered(text: str, order: Iterable[str]) -> str:
    """The text with the tags of `order` as the first, the second, … speaker's."""
    numbers = dict(zip(order, TAGS, strict=False))
    return _TAG.sub(lambda tag: numbers.get(tag[0], tag[0]), text)


def encode(text: str, limit: int | None = None) -> np.ndarray:
    """Byte ids int32[bytes] of a text; UserError when it breaks the contract or exceeds `limit` bytes."""
    text = normalise(text)
    for number, tag in enumerate(TAGS, start=1):
        text = text.replace(tag, chr(number))
    ids = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32)
    if limit is not None and len(ids) > limit:
        raise UserError(
            f"The text has {len(ids)} bytes and the model reads at most {limit}; shorten or split it."
        )
    return ids


def decode(ids: Sequence[int] | np.ndarray) -> str:
    """The text of byte ids; padding is dropped, broken UTF-8 becomes U+FFFD."""
    text = bytes(int(i) for i in ids if i != PADDING).decode("utf-8", errors="replace")
    for number, tag in enumerate(TAGS, start=1):
        text = text.replace(chr(number), tag)
    return text


def pad_batch(rows: Sequence[np.ndarray], width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Right-pads byte ids: (ids int32[B, S], lengths int32[B]); S is the longest row or `width`."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.full((len(rows), width or int(lengths.max())), PADDING, np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids, lengths
