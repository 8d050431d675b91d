"""An annotator at the page, by keyboard alone: sees what it shows, knows what is right, and corrects one by the other.

What is pressed is really pressed, and how long the page takes is really measured. How long a person takes is a model: hears
the clip once as it was spoken, stops by the page's key some time after a wrong word was said, goes from the word that the
page selects to the one that is meant, hears on from there, and needs so long to find a place and for each key. For whatever
else is wrong than words its whole turn is heard again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rapidfuzz.distance import Levenshtein
from selenium.webdriver import Keys
from selenium.webdriver.common.action_chains import ActionChains

from annotate.working import HELD, Desk
from rosella.corpus.corrections.clip import ClipState
from rosella.corpus.disfluencies import fillers
from rosella.records import Turn

EXACT = 0.05
"""Seconds by which an edge may be off that nobody hears; in silence it may lie anywhere."""
STEP = 0.05
"""Seconds that a key moves a boundary."""
REACTION = 0.3, 0.5
"""Seconds from the end of what was heard until a key is pressed: least and most."""
AROUND = 1.5
"""Seconds of sound before a clip."""

CLOCK = """
const now = performance.now.bind(performance);
let clock = 0;
performance.now = () => clock;
window.advance = (seconds) => {
  for (let left = seconds; left > 0; left -= 10) {
    clock += Math.min(left, 10) * 1000;
    document.dispatchEvent(new PointerEvent("pointerdown"));
  }
};
window.seen = { pressed: 0, sounded: 0, pending: 0, saves: [] };
addEventListener("keydown", () => (seen.pressed = now()), true);
const begin = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  window.media = this;
  this.addEventListener("playing", () => (seen.sounded = now()), { once: true });
  return begin.call(this);
};
const ask = window.fetch;
window.fetch = async (...given) => {
  const at = now();
  seen.pending += 1;
  try {
    return await ask(...given);
  } finally {
    seen.pending -= 1;
    if (given[1]?.method === "PUT") seen.saves.push((now() - at) / 1000);
  }
};
"""
"""Stops the page's clock, which a person's time then advances, and notes when it sounds and what it asks for."""

LOOK = """
const items = [...document.querySelectorAll("#turns li")];
const box = document.activeElement;
return {
  turns: items.map((item) => ({
    text: item.querySelector(".text textarea").value,
    text_clean: item.querySelector(".text_clean textarea").value,
    speaker: item.querySelector("select").value,
    span: item.querySelector(".times").textContent.match(/[\\d.]+/g).map(Number),
  })),
  names: items.length ? [...items[0].querySelectorAll("option")].map(({ value }) => value) : [],
  turn: items.indexOf(box.closest("li")),
  field: box.closest(".text_clean") ? "text_clean" : "text",
  caret: box.selectionStart ?? 0, end: box.selectionEnd ?? 0,
  paused: media.paused,
};
"""

STAND = "media.pause(); media.currentTime = {}"
"""As if one had listened until there."""


@dataclass(frozen=True)
class Person:
    """Seconds for a key, and to find the place of what was heard."""

    key: float = 0.28
    finding: float = 1.2


@dataclass(frozen=True)
class Fix:
    """A correction: the keys pressed for it, the seconds that are heard again, and those where all of its turn is."""

    kind: str
    keys: int
    again: float
    turn: float


@dataclass(frozen=True)
class Change:
    """Words number `low` to `high` of what is shown become others; the first that is wrong is heard as word `heard`."""

    kind: str
    low: int
    high: int
    put: str
    heard: int


@dataclass(frozen=True)
class Work:
    """On a clip of `length` seconds. `waited`: from the last key until the next one sounds; `saving`: until it is saved."""

    clip: str
    length: float
    fixes: list[Fix]
    seconds: float
    waited: float
    saving: float


@dataclass
class Shown:
    """What the page shows of a clip, and where the caret is."""

    turns: list[dict[str, Any]]
    names: list[str]
    turn: int
    field: str
    caret: int
    end: int
    paused: bool


@dataclass
class Hands:
    """Keys pressed since the last correction; what is held for one key after another is pressed once."""

    page: Desk
    count: int = 0
    holding: tuple[str, ...] = ()

    def press(self, key: str, *held: str, times: int = 1) -> None:
        actions = ActionChains(self.page.driver, duration=0)
        for name in held:
            actions.key_down(HELD[name])
        actions.send_keys(key * times)
        for name in held:
            actions.key_up(HELD[name])
        actions.perform()
        self.count += times + len(set(held) - set(self.holding))
        self.holding = held

    def type(self, text: str) -> None:
        self.holding = ()
        self.page.keys(text)
        self.count += len(text)


def evenly(turn: Turn) -> list[float]:
    """When each word of a turn ends, seconds, if all letters last equally long."""
    ends = [match.end() for match in re.finditer(r"\S+", turn.text)]
    return [turn.start + (turn.end - turn.start) * end / len(turn.text) for end in ends]


@dataclass
class Player:
    """Corrects the open clip of a page that was opened with `CLOCK`; `said` tells when the words of a turn end."""

    page: Desk
    person: Person = Person()
    said: Callable[[Turn], Sequence[float]] = evenly
    hands: Hands = field(init=False)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def __post_init__(self) -> None:
        self.hands = Hands(self.page)

    @property
    def clip(self) -> str:
        """The id of the open one."""
        return str(self.page.run("return location.hash.replace('#clip/', '')"))

    def look(self) -> Shown:
        return Shown(**self.page.run(LOOK))

    def correct(self, right: ClipState) -> list[Fix]:
        """Make the open clip what it should be."""
        self.fixes: list[Fix] = []
        self.origin, self.end = max(0.0, right.start - AROUND), right.end
        self.hands = Hands(self.page)
        self.page.run(STAND.format(right.start - self.origin))  # a person hears it later than it began
        self._fill(right)
        self._divide(right)
        self._assign(right)
        for index, turn in enumerate(right.turns):
            self._write(index, turn)
            self._clean(index, turn)
        self._move(right)
        return self.fixes

    def finish(self, right: ClipState) -> Work:
        """Judge the corrected clip as is right, and go on to the next, which sounds when this returns or is none."""
        open_clip, length = self.clip, right.end - right.start
        self.hands, fixes = Hands(self.page), self.fixes
        spent = length + sum(self._seconds(fix) for fix in fixes)
        self._advance(spent)
        self.page.until(lambda: self.page.run("return seen.pending") == 0)  # a person works longer than that
        if right.verdict == "rejected":
            self._reject(right.reason or "")
        else:
            self.hands.press(Keys.ENTER, "Ctrl")
        keys = self.hands.count * self.person.key
        self.page.until(lambda: self._is_past(open_clip))
        waited, saving = self.page.run("return [(seen.sounded - seen.pressed) / 1000, seen.saves.at(-1)]")
        return Work(open_clip, length, fixes, spent + keys + max(waited, 0), max(waited, 0), saving)

    def _seconds(self, fix: Fix) -> float:
        return self.person.finding + fix.again + fix.keys * self.person.key

    def _advance(self, seconds: float) -> None:
        self.page.run(f"advance({seconds})")

    def _is_past(self, clip: str) -> bool:
        """The clip is saved, and another one sounds or nothing is left."""
        told = self.page.find("#status").text
        if told and self.clip == clip:
            if "The same key again" in told and self.hands.count <= 2:  # a fault that was just put right
                self.hands.press(Keys.ENTER, "Ctrl")
                return False
            raise AssertionError(f"{clip} is still open: {told}")
        sounds = "!document.querySelector('#nothing').hidden || seen.sounded > seen.pressed"
        saved = "document.querySelector('#saved').textContent === 'Saved' && seen.saves.length"
        return self.clip != clip and self.page.run(f"return ({sounds}) && {saved}")

    def _reject(self, reason: str) -> None:
        self.hands.press("x", "Alt")
        self.page.until(lambda: self.page.sees("#reject"))
        label = self.page.find(f"#reject label:has([value='{reason}'])").text
        self.hands.type(label.split(".")[0])
        self.hands.press(Keys.ENTER)

    def _done(self, kind: str, turn: float, again: float | None = None) -> None:
        self.fixes.append(Fix(kind, self.hands.count, turn if again is None else again, turn))
        self.hands = Hands(self.page)

    # Listening

    @property
    def _position(self) -> float:
        return self.origin + float(self.page.run("return media.currentTime"))

    def _listen(self, index: int, turn: Turn, word: int) -> None:
        """Listen until a word has been said and one has noticed; who is past it hears the turn from its begin."""
        end, self.again = self.said(turn)[word], 0.0
        if self._position > end:
            self._to_turn(index)
            self.hands.press(Keys.F2)
            self.again = end - turn.start
        self.stopped = min(end + self.chance.uniform(*REACTION), self.end)
        self.page.run(STAND.format(self.stopped - self.origin))

    def _play_on(self) -> float:
        """Go on from where the page stands; the seconds that are heard again for all that."""
        again = self.again + max(0.0, self.stopped - self._position)
        self.hands.press(Keys.ESCAPE)
        self.page.run("media.pause()")  # until it is known how far one listens
        return again

    def _select_heard(self, index: int, *wanted: int) -> int:
        """Have the page select what was just heard, and go on from there to the nearest of the wanted words of a turn."""
        self.hands.press("a", "Alt")
        for _ in range(12):
            here = self.look()
            at = _before(here.turns, here.turn) + _words_before(here.turns[here.turn]["text"], here.caret)
            away = min((_before(here.turns, index) + word - at for word in wanted), key=abs)
            if not away:
                return at - _before(here.turns, index)
            self.hands.press("z" if away > 0 else "a", "Alt", times=abs(away))
        raise AssertionError(f"words {wanted} of turn {index} cannot be reached")

    # Turns

    def _fill(self, right: ClipState) -> None:
        """Of empty boxes: write what is heard, or where turns are wrong, too, begin with what the model wrote."""
        shown = self.look().turns
        if any(turn["text"] for turn in shown):
            return
        if len(shown) != len(right.turns):
            for index in range(len(shown)):
                self._to_turn(index)
                self.hands.press(Keys.F4, "Shift")
                self._done("draft taken", 0.0)

    def _divide(self, right: ClipState) -> None:
        """Divide turns and join them until they are those that should be."""
        for _ in range(20):
            shown = self.look().turns
            owners = _owners(shown, right.turns)
            parts = [sorted(set(own)) for own in owners]
            if parts == [[number] for number in range(len(right.turns))]:
                return
            if (mixed := next((at for at, part in enumerate(parts) if len(part) > 1), None)) is not None:
                word = next(n for n, (one, other) in enumerate(pairwise(owners[mixed]), 1) if one != other)
                self._cut(mixed, word, right.turns[owners[mixed][word]])
                continue
            known = [part[0] for part in parts]
            if (twin := next((at for at, (a, b) in enumerate(pairwise(known)) if a == b), None)) is not None:
                self._to_turn(twin)
                self.hands.press("g", "Alt")
                self._done("turns joined", _length(right.turns[known[twin]]))
                continue
            missing = next(number for number in range(len(right.turns)) if number not in known)
            at = known.index(missing - 1) if missing else 0
            self._cut_off(at, len(shown[at]["text"]) if missing else 0, right, max(missing, 1))
        raise AssertionError(f"the turns of {self.clip} cannot be brought to {right.turns}")

    def _cut(self, index: int, word: int, second: Turn) -> None:
        """Divide a turn before a word, when one hears that somebody else says it."""
        start, end = self.look().turns[index]["span"]
        self._listen(index, second, 0)
        self._select_heard(index, word)
        self.hands.press(Keys.ENTER)
        self._done("turn divided", end - start, self._play_on())

    def _cut_off(self, index: int, caret: int, right: ClipState, owner: int) -> None:
        """Make room for a turn that has no words yet, where one hears that it begins or ends."""
        second = (right.turns[owner - 1].end + right.turns[owner].start) / 2 + self.chance.uniform(*REACTION)
        start, end = self.look().turns[index]["span"]
        self._to_turn(index)
        if here := start < second < end:
            self.hands.press(Keys.F2)
            self.page.until(lambda: not self.look().paused)
            self.hands.press(Keys.ESCAPE)
            self.page.until(lambda: self.look().paused)
            self.page.run(STAND.format(second - self.origin))
        self._to_caret(caret)
        self.hands.press(Keys.ENTER, *["Shift"] * here)
        self._done("turn divided", end - start)

    def _assign(self, right: ClipState) -> None:
        for index, turn in enumerate(right.turns):
            shown = self.look()
            if shown.turns[index]["speaker"] != turn.speaker:
                self._to_turn(index)
                self.hands.press(str(shown.names.index(turn.speaker) + 1), "Alt")
                self._done("speaker", _length(turn))

    def _move(self, right: ClipState) -> None:
        """Edges that are audibly wrong, by steps."""
        for index, turn in enumerate(right.turns):
            before = right.turns[index - 1].end if index else turn.start - 3 * EXACT
            last = index + 1 == len(right.turns)
            after = turn.end + 3 * EXACT if last else right.turns[index + 1].start
            windows = {"jk": (before, turn.start), "nm": (turn.end, after)}
            for edge, keys in enumerate(windows):
                self._move_edge(index, edge, keys, windows[keys], turn)

    def _move_edge(self, index: int, edge: int, keys: str, window: tuple[float, float], turn: Turn) -> None:
        at = self.look().turns[index]["span"][edge]
        low, high = window[0] - EXACT, window[1] + EXACT
        if low <= at <= high:
            return
        self._to_turn(index)
        target = turn.start if edge == 0 else turn.end
        steps = round((target - at) / STEP)
        self.hands.press(keys[steps > 0], "Alt", times=abs(steps))
        self._done("boundary", _length(turn))

    # Words

    def _write(self, index: int, turn: Turn) -> None:
        """Bring a text to what it should be, place by place."""
        shown = ""
        for _ in range(60):
            shown = self.look().turns[index]["text"]
            if shown.split() == turn.text.split():
                return
            if shown.strip():
                self._correct_words(index, turn, _first_change(shown, turn.text))
            else:
                self._to_turn(index)
                self.hands.type(turn.text)
                self._done("turn written afresh", _length(turn))
        raise AssertionError(f"{shown!r} cannot be brought to {turn.text!r}")

    def _correct_words(self, index: int, turn: Turn, change: Change) -> None:
        if change.low == change.high and self._stands_before(index, change.low):
            self.hands.type(f"{change.put} ")
            return self._done(change.kind, _length(turn))
        self._listen(index, turn, change.heard)
        if change.low == change.high:
            self._insert(index, change)
        else:
            self._select_heard(index, change.low)
            self._extend(change.high - change.low - 1)
            if change.put:
                self.hands.type(change.put)
            else:
                self.hands.press(Keys.DELETE)
        return self._done(change.kind, _length(turn), self._play_on())

    def _stands_before(self, index: int, word: int) -> bool:
        """Whether the caret is where the word begins already, as in the first box of a clip."""
        here = self.look()
        starts = [match.start() for match in re.finditer(r"\S+", here.turns[index]["text"])]
        return here.turn == index and here.caret == here.end and here.caret in starts[word : word + 1]

    def _insert(self, index: int, change: Change) -> None:
        """Write words before the next one, or behind the one before, whichever is selected sooner."""
        count = len(self.look().turns[index]["text"].split())
        wanted = [word for word in (change.low, change.low - 1) if 0 <= word < count]
        following = self._select_heard(index, *wanted) == change.low
        self.hands.press(Keys.LEFT if following else Keys.RIGHT)
        if change.kind == "event missing" and " " not in change.put:
            self._choose(change.put)
        else:
            self.hands.type(f"{change.put} " if following else f" {change.put}")

    def _choose(self, event: str) -> None:
        """Take an event from the palette, when so much of it is typed that it is the first."""
        self.hands.press("p", "Alt")
        for letter in event.strip("()"):
            if self.page.find("#palette-list [aria-selected=true]").text == event:
                break
            self.hands.type(letter)
        self.hands.press(Keys.ENTER)
        self.page.until(lambda: not self.page.sees("#palette"))

    def _extend(self, words: int) -> None:
        """Select so many words more, one by one, since browsers stop at punctuation too."""
        here = self.look()
        end = _ends(here.turns[here.turn]["text"])[
            _words_before(here.turns[here.turn]["text"], here.caret) + words
        ]
        self._walk(end, lambda: self.look().end, "Shift")

    def _clean(self, index: int, turn: Turn) -> None:
        """A clean text that is wrong is made from the verbatim one."""
        shown = self.look().turns[index]["text_clean"]
        if not shown or turn.text_clean is None or shown.split() == turn.text_clean.split():
            return
        self._to_turn(index)
        self.hands.press("y", "Alt")
        self._done("clean text", 0.0)

    def _to_turn(self, index: int) -> None:
        if away := index - self.look().turn:
            self.hands.press(Keys.DOWN if away > 0 else Keys.UP, "Alt", times=abs(away))
        assert self.look().turn == index

    def _to_caret(self, target: int) -> None:
        """From where the caret is, from the start or from the end: by the fewest words."""
        here = self.look()
        text = here.turns[here.turn][here.field]
        ways = {None: abs(_between(text, here.caret, target)), Keys.HOME: _between(text, 0, target) + 2}
        ways[Keys.END] = _between(text, target, len(text)) + 2
        best = min(ways, key=lambda way: ways[way])
        if best:
            self.hands.press(best, "Ctrl")
        self._walk(target, lambda: self.look().caret)

    def _walk(self, target: int, where: Any, *held: str) -> None:
        here = self.look()
        text = here.turns[here.turn][here.field]
        at = where()
        for _ in range(12):
            at = where()
            if at == target:
                return
            ahead = at < target
            key = Keys.RIGHT if ahead else Keys.LEFT
            words = _between(text, min(at, target), max(at, target), ends=ahead)
            if words:
                self.hands.press(key, "Ctrl", *held, times=words)
            else:
                self.hands.press(key, *held, times=abs(target - at))
        raise AssertionError(f"the caret does not come from {at} to {target} in {text!r}")


def _length(turn: Turn) -> float:
    return turn.end - turn.start


def _between(text: str, low: int, high: int, ends: bool = True) -> int:
    """Ends of words after `low` up to `high`, or starts of words from `low` before `high`."""
    low, high = min(low, high), max(low, high)
    found = [match.span() for match in re.finditer(r"[\w'’]+", text)]
    return (
        sum(low < end <= high for _, end in found) if ends else sum(low <= start < high for start, _ in found)
    )


def _ends(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\S+", text)]


def _words_before(text: str, caret: int) -> int:
    return len(text[:caret].split())


def _before(turns: Sequence[dict[str, Any]], index: int) -> int:
    """Words of the turns before one; the page goes through one without words as if it had one."""
    return sum(max(1, len(turn["text"].split())) for turn in turns[:index])


def _owners(shown: Sequence[dict[str, Any]], right: Sequence[Turn]) -> list[list[int]]:
    """The right turn to which each shown word belongs, by shown turn; a turn without words belongs to what lies between."""
    if [turn["speaker"] for turn in shown] == [turn.speaker for turn in right]:
        return [[number] * max(1, len(turn["text"].split())) for number, turn in enumerate(shown)]
    words = [(at, word) for at, turn in enumerate(shown) for word in turn["text"].split()]
    wanted = [(number, word) for number, turn in enumerate(right) for word in turn.text.split()]
    owner: list[int | None] = [None] * len(words)
    codes = _opcodes([word.casefold() for _, word in words], [word.casefold() for _, word in wanted])
    for tag, low, high, start, _ in codes:
        if tag in ("equal", "replace"):
            for at in range(low, high):
                owner[at] = wanted[start + at - low][0]
    owners: list[list[int]] = [[] for _ in shown]
    for at, (turn, _) in enumerate(words):
        same = [owner[n] for n in [*range(at, -1, -1), *range(at, len(words))] if words[n][0] == turn]
        owners[turn].append(next((one for one in same if one is not None), -1))
    for at, own in enumerate(owners):
        before = owners[at - 1][-1] if at else -1
        if not own or own[0] < 0:
            following = next((each[0] for each in owners[at + 1 :] if each and each[0] >= 0), len(right))
            fits = before + 1 if before + 1 < following else max(before, 0)
            owners[at] = [fits] * max(1, len(own))
    return owners


def _first_change(shown: str, wanted: str) -> Change:
    """The first of all; what is too many is noticed when the next word is said."""
    old, new = shown.split(), wanted.split()
    tag, low, high, start, end = next(code for code in _opcodes(old, new) if code[0] != "equal")
    put = " ".join(new[start:end])
    kinds = {"insert": _missing(put), "replace": "word replaced", "delete": "word too many"}
    return Change(kinds[tag], low, high, put, min(start, len(new) - 1))


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    codes = Levenshtein.opcodes(old, new)
    return [(code.tag, code.src_start, code.src_end, code.dest_start, code.dest_end) for code in codes]


def _missing(put: str) -> str:
    if put.startswith("("):
        return "event missing"
    spoken = put.casefold().strip(".,?!")
    return (
        "filler missing"
        if any(spoken in fillers(language) for language in ("nl", "en", "de"))
        else "word missing"
    )
