"""Disfluencies, and a clean transcript from a verbatim one by rules: for languages without a recogniser that cleans up.

In this order, within one speaker's text:

1. events, `(laughs)`, go;
2. fillers of the language go (`FILLERS`);
3. broken-off words, written `n-`, go; a compound that waits for its end (`zon- en feestdagen`) stays;
4. of one to three words said twice in a row the first copy goes, unless a sentence ends between them or the
   words are ones that people double on purpose (`DOUBLED`);
5. the punctuation of what went is dropped, but for the end of a sentence; capitals stay at the front.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from rosella import dialogue

_ANY = "uh uhm uhh um umm eh ehm hm hmm mm mmm"
FILLERS = {
    "nl": frozenset(f"{_ANY} euh euhm".split()),
    "en": frozenset(f"{_ANY} er erm".split()),
    "de": frozenset(f"{_ANY} äh ähm öh öhm".split()),
    "fr": frozenset(f"{_ANY} euh heu".split()),
    "es": frozenset(f"{_ANY} em".split()),
}
"""Fillers by language, in lower case; `fillers` answers for the others and for varieties."""

EVENTS = tuple(
    f"({name})"
    for name in (
        "laughs|chuckles|coughs|sighs|gasps|sniffs|sneezes|inhales|exhales|groans|mumbles|hums|humming|sings|"
        "singing|screams|whistles|claps|applause|burps|beep|clears throat"
    ).split("|")
)
"""What is heard besides words, as a verbatim transcript has it."""

VARIETIES = {"vl": "nl"}
"""Varieties that share the fillers of another language."""

DOUBLED = frozenset(
    "ja nee nou heel zo die dat dan weg kom toe hoor ho yes no yeah so very bye that had is oh".split()
)
"""Words that are doubled for emphasis or by grammar (`nee nee`, `that that`), so their repetition is no restart."""

LONGEST_REPEAT = 3
_LINKS = frozenset("en of and or und oder et ou y o".split())
_EVENT = re.compile(r"\([^()]*\)")
_TAG = re.compile("|".join(map(re.escape, dialogue.TAGS)))
_TOKEN = re.compile(r"(?P<lead>[^\w-]*)(?P<word>[\w'’-]*?)(?P<trail>[^\w'’-]*)")
_SENTENCE_END = re.compile(r"[.?!…]")


@dataclass(frozen=True)
class _Token:
    lead: str
    word: str
    trail: str

    @property
    def key(self) -> str:
        return self.word.casefold()

    @property
    def ends_sentence(self) -> bool:
        return bool(_SENTENCE_END.search(self.trail))

    def __str__(self) -> str:
        return self.lead + self.word + self.trail


def fillers(language: str | None) -> frozenset[str]:
    """The fillers of a language (a code such as `nl`); for one without a list those that most languages share."""
    return FILLERS.get(VARIETIES.get(language or "", language or ""), frozenset(_ANY.split()))


def events(text: str) -> list[str]:
    """The events of a text, such as `(laughs)`, in their order."""
    return _EVENT.findall(text)


def remove_disfluencies(text: str, fillers: Collection[str]) -> str:
    """The text without events, fillers and restarts; speaker tags stay before what is left of their words."""
    tags = ["", *_TAG.findall(text)]
    pieces = [_clean(piece, fillers) for piece in _TAG.split(text)]
    return " ".join(f"{tag} {piece}".strip() for tag, piece in zip(tags, pieces, strict=True) if piece)


def _clean(piece: str, fillers: Collection[str]) -> str:
    tokens = _tokens(_EVENT.sub(" ", piece))
    tokens = _without(tokens, [token.key in fillers for token in tokens])
    tokens = _without(tokens, _broken(tokens))
    for length in range(LONGEST_REPEAT, 0, -1):
        while (first := _repeat(tokens, length)) is not None:
            tokens = _without(tokens, [first <= number < first + length for number in range(len(tokens))])
    return " ".join(map(str, tokens))


def _tokens(piece: str) -> list[_Token]:
    """Words with the punctuation around them; punctuation that stands alone joins the word before it."""
    tokens: list[_Token] = []
    for part in piece.split():
        match = _TOKEN.fullmatch(part)
        token = _Token(**match.groupdict()) if match else _Token("", part, "")
        if token.word.strip("-"):
            tokens.append(token)
        elif tokens:
            tokens[-1] = replace(tokens[-1], trail=tokens[-1].trail + part)
    return tokens


def _broken(tokens: Sequence[_Token]) -> list[bool]:
    last = len(tokens) - 1
    return [
        token.word.endswith("-") and (number == last or tokens[number + 1].key not in _LINKS)
        for number, token in enumerate(tokens)
    ]


def _repeat(tokens: Sequence[_Token], length: int) -> int | None:
    """Where `length` words stand that follow once more."""
    for start in range(len(tokens) - 2 * length + 1):
        first, second = (tokens[start + shift : start + shift + length] for shift in (0, length))
        same = [token.key for token in first] == [token.key for token in second]
        meant = all(token.key in DOUBLED for token in first)
        if same and not meant and not any(token.ends_sentence for token in first):
            return start
    return None


def _without(tokens: Sequence[_Token], dropped: Sequence[bool]) -> list[_Token]:
    """Leave tokens out; what follows takes over their capital, what precedes the end of their sentence."""
    kept: list[_Token] = []
    capital = False
    for token, drop in zip(tokens, dropped, strict=True):
        if drop:
            capital = capital or token.word[:1].isupper()
            if token.ends_sentence:
                capital = False
                if kept and not kept[-1].ends_sentence:
                    kept[-1] = replace(kept[-1], trail=token.trail)
            continue
        kept.append(replace(token, word=token.word[:1].upper() + token.word[1:]) if capital else token)
        capital = False
    return kept
