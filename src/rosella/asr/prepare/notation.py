"""How a source writes what is heard, and how that becomes the project's verbatim notation (see `rosella.dialogue`).

A text that cannot be written down faithfully is refused with its reason and never patched: a recogniser that
learned from it would learn to leave speech out.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rosella import dialogue
from rosella.corpus import disfluencies
from rosella.errors import UserError

Tally = Counter[str]
"""How often each rule was applied."""

_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|<[^<>]*>|\{[^{}]*\}")
_LOOSE_PUNCTUATION = re.compile(r"\s+(?=[.,;:?!…])")


class Notation(BaseModel):
    """The codes of a source. Names are compared in lower case.

    `events`: events that are kept, as they are written in a transcript. `labels`: what else stands in brackets of
    any kind, and the event it means ("" leaves it out). `words`: the same for codes that stand as words.
    `unintelligible`: words that mean that something was not understood. `codes`: suffixes of words and what
    replaces them. `ignored_tiers`: tiers that are no speech. `fillers`: instead of the language's own list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: tuple[str, ...] = disfluencies.EVENTS
    labels: dict[str, str] = {
        **dict.fromkeys("laugh laughter laughing lacht lachen gelach".split(), "(laughs)"),
        **{name: f"({name}s)" for name in "chuckle cough sigh gasp sniff sneeze".split()},
    }
    words: dict[str, str] = {}
    unintelligible: tuple[str, ...] = ("xxx",)
    codes: dict[str, str] = {}
    ignored_tiers: tuple[str, ...] = ("COMMENT", "BACKGROUND")
    fillers: tuple[str, ...] | None = None

    def verbatim(self, written: str, tally: Tally) -> str:
        """What a turn says in verbatim notation, perhaps nothing; a UserError with the reason it cannot be used."""
        bracketless = _BRACKETED.sub(lambda match: self._event(match[0], tally), " ".join(written.split()))
        text = " ".join(self._coded(part, tally) for part in bracketless.split())
        text = _LOOSE_PUNCTUATION.sub("", " ".join(text.split()))
        return dialogue.normalise(text).strip() if any(map(str.isalnum, text)) else ""

    def _coded(self, part: str, tally: Tally) -> str:
        """A word with its codes replaced; punctuation may follow them."""
        word = part.rstrip(".,;:?!…")
        if word.casefold() in self.unintelligible:
            raise UserError(f"unintelligible word ({word.casefold()})")
        if (event := self.words.get(word.casefold())) is not None:
            tally[f"{word.casefold()} → {event or 'left out'}"] += 1
            return event + part[len(word) :]
        stem, star, letter = word.partition("*")
        if not star:
            return part
        if (replacement := self.codes.get(f"*{letter}")) is None:
            raise UserError(f"unknown code (*{letter})")
        tally[f"*{letter} → {replacement or 'left out'}"] += 1
        return stem + replacement + part[len(word) :]

    def _event(self, bracketed: str, tally: Tally) -> str:
        name = bracketed[1:-1].strip().casefold()
        event = f"({name})" if f"({name})" in self.events else self.labels.get(name)
        if bracketed.upper() in dialogue.TAGS:
            return bracketed
        if event is None:
            raise UserError(f"unlisted event ({name})")
        tally[f"{bracketed} → {event or 'left out'}"] += 1
        return f" {event} "


PLAIN = Notation()
CGN = Notation(
    words={"ggg": "(laughs)"},
    codes={"*a": "-", **dict.fromkeys(("*d", "*n", "*t", "*u", "*v", "*x", "*z"), "")},
)
"""Corpus Gesproken Nederlands, after its protocol (Goedertier & Goddijn 2000): `ggg` is any sound of a speaker, most
often laughter; `xxx` was not understood; `*a` is broken off, the other codes tell of dialect, foreign, new,
interjected, misspoken and hardly understood words, whose spelling is what was heard."""


def load_notation(path: Path, default: Notation) -> Notation:
    """`default` with the keys that a YAML file sets; UserError names the key that is wrong."""
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
        return Notation.model_validate({**default.model_dump(), **values})
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Cannot read the notation {path}: {getattr(error, 'strerror', None) or error}."
        ) from None
    except (yaml.YAMLError, TypeError):
        raise UserError(
            f"The notation {path} is no YAML mapping: write keys such as `events: [...]`."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(Notation.model_fields)
        raise UserError(f"The notation {path} has a wrong key {key} ({first['msg']}): use {known}.") from None
