"""How well a piece of text may end after a word, in any language, by its punctuation and what follows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import IntEnum


class Break(IntEnum):
    """How well a piece may end after a word; the worst comes first."""

    BOUND = 0
    """What follows belongs to the word: punctuation, the name after "Dr.", the month after "1."."""
    WORD = 1
    CLAUSE = 2
    SENTENCE = 3
    TURN = 4


FULL_WIDTH = "。！？｡，、；："
"""Marks that end a sentence or clause without a space after them."""

_ENDS = frozenset("!?…。！？｡؟۔।॥։።။។")
_CLAUSES = frozenset(",;:–—،؛，、；：")
_DASHES = frozenset("-–—")

ABBREVIATIONS = frozenset(
    "mr. mrs. ms. dr. prof. st. rev. gen. sen. gov. capt. lt. sgt. vs. cf. approx. fig. vol. pp. "
    "dhr. mevr. mw. drs. ir. ing. ds. bijv. bv. nr. blz. ca. evt. incl. excl. resp. zgn. vgl. "
    "hr. fr. frl. bzw. bspw. evtl. ggf. inkl. zzgl. sog. geb. dipl. abb. "
    "mme. mmes. mlle. mgr. av. bd. sr. sra. srta. sres. dña. ud. uds. pág. art. dra. sig. sig.ra dott. "
    "bl.a. f.eks. t.ex. kl. np. tzn. ul. např. tj. ул. см. им. напр.".split()
)
"""What is never the end of a sentence, in lower case. Such as also end one ("etc.", "usw.") are not among them;
letters with full stops ("e.g.", "z. B.", "J. S.") need no list."""

_LETTERS = re.compile(r"(?:[^\W\d_]\.)+")
_NUMBER = re.compile(r"\d+\.")
_ORDINAL = re.compile(r"\d\d?\.")


def breaks(words: Sequence[str], capitals: bool) -> list[Break]:
    """How well a piece may end after each word of a turn; the last one ends it.

    Words have their punctuation, and marks that stand alone are words too. `capitals` says whether the script has any:
    without, a small letter does not tell that a sentence goes on.
    """
    found = [Break.BOUND]
    for before, word, following in zip(["", *words], words, words[1:], strict=False):
        if opens(word) or (is_marks(word) and not before):
            found.append(Break.BOUND)
        elif not _without_closing(word):
            found.append(found[-1])
        else:
            found.append(_break_after(word, before, following, capitals))
    for index, following in enumerate(words[1:], 1):
        if is_marks(following) and not opens(following):
            found[index] = Break.BOUND
    return [*found[1:], Break.TURN]


def is_marks(text: str) -> bool:
    """Whether there is nothing to say in it."""
    return not any(character.isalnum() for character in text)


def opens(text: str) -> bool:
    """Whether it is marks that belong to what follows them, such as an opening quote."""
    return all(c in "¿¡" or unicodedata.category(c) in ("Ps", "Pi") for c in text)


def _break_after(word: str, before: str, following: str, capitals: bool) -> Break:
    bare = _without_closing(word)
    goes_on = _begins_small(following)
    if bare.endswith(".") and not bare.endswith(".."):
        return _after_full_stop(bare, before, following, goes_on, capitals)
    if bare.endswith("..") or bare[-1] in _ENDS:
        unsure = bare != word or bare[-1] in ".…"  # '"Why?" she asked', "Well… yes"
        return Break.CLAUSE if goes_on and unsure else Break.SENTENCE
    return Break.CLAUSE if bare[-1] in _CLAUSES or bare in _DASHES else Break.WORD


def _after_full_stop(bare: str, before: str, following: str, goes_on: bool, capitals: bool) -> Break:
    name = bare.lstrip("\"'([{„“‘‚«»‹›¿¡")
    if name.casefold() in ABBREVIATIONS or _ORDINAL.fullmatch(name):
        return Break.BOUND
    if _LETTERS.fullmatch(name):  # one small letter may be a word: Dutch "Dank u."
        chained = _LETTERS.match(following) or _LETTERS.fullmatch(before)
        several = len(name) > 2 or name[0].isupper()
        return Break.BOUND if several or chained or goes_on else Break.SENTENCE
    if not goes_on:
        return Break.SENTENCE
    if _NUMBER.fullmatch(name):
        return Break.BOUND
    return Break.CLAUSE if capitals else Break.SENTENCE


def _without_closing(text: str) -> str:
    """Without the quotes and brackets at its end. German closes with what English opens with."""
    end = len(text)
    while end and (text[end - 1] in "\"'" or unicodedata.category(text[end - 1]) in ("Pe", "Pf", "Pi")):
        end -= 1
    return text[:end]


def _begins_small(text: str) -> bool:
    """Whether a word begins with a small letter; an event or aside in brackets does not count."""
    if text[:1] in ("(", "（", "["):
        return False
    return next((c for c in text if c.isalnum()), "").islower()
