"""From a file to what it changes: the file is held against what it was written of, and only what differs is a change.

A clip that people have changed since is left to them. Where it is not known what a file was written of, it is taken for
a change of what nobody has corrected yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from rosella.annotate.exchange.formats import Format
from rosella.annotate.exchange.placing import place, rooms, texts
from rosella.annotate.exchange.sheet import (
    OVERLAP,
    Line,
    Sheet,
    decided,
    folded,
    in_turn,
    milliseconds,
    shared,
    shown,
    verdict_text,
    written_names,
)
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState
from rosella.corpus.sources.entries import UNNAMED
from rosella.records import OVERLAP_TOLERANCE, Turn

_TOLERANCE = milliseconds(OVERLAP_TOLERANCE)


@dataclass(frozen=True)
class Known:
    """A clip as it is, and as the file was written of it; `base` is None where that is not known."""

    clip: AnnotatedClip
    base: ClipState | None


@dataclass
class Merged:
    """What a file makes of clips (`after`, by their places), and how many of them and of its lines fared otherwise.

    `same` clips stay as they are, `left` were changed by people meanwhile, about `untold` ones the file has no line.
    `outside` lines lie in no clip, `cut` ones reached into another clip, `parted` ones ran into the next.
    """

    after: dict[int, ClipState] = field(default_factory=dict)
    same: int = 0
    left: int = 0
    untold: int = 0
    outside: int = 0
    cut: int = 0
    parted: int = 0


@dataclass(frozen=True)
class _Shown:
    """A turn, and the line a file has for it; `hidden` where the format has none."""

    turn: Turn
    line: Line
    hidden: bool


@dataclass(frozen=True)
class _Told:
    """What a file says about a clip: its lines in order of time, verdict and comment; None of what it does not say."""

    lines: list[Line] | None
    verdict: tuple[str, int] | None
    comment: tuple[str, int] | None


@dataclass(frozen=True)
class Dialect:
    """How a format shows a recording, and how what it shows is understood.

    `written` are names of speakers as they are written, `actual` the speakers of those names; `tidy` makes a clean text
    of a verbatim one.
    """

    format: Format
    has_clean: bool
    written: dict[str, str]
    actual: dict[str | None, str]
    tidy: Callable[[str], str]

    @classmethod
    def of(
        cls, format: Format, states: Iterable[ClipState], has_clean: bool, tidy: Callable[[str], str]
    ) -> Dialect:
        speakers = dict.fromkeys(t.speaker for state in states for t in state.turns if not t.overlap)
        written = written_names(speakers)
        seen = {speaker: format.seen(Line(0, 1, name, "-")) for speaker, name in written.items()}
        actual = {line.speaker: speaker for speaker, line in seen.items() if line is not None}
        return cls(format, has_clean, written, actual, tidy)

    def lines(self, states: Sequence[ClipState]) -> list[Line]:
        """All turns as lines, whether the format can show them or not."""
        return in_turn([shown(turn, self.written) for state in states for turn in state.turns])

    def shown(self, states: Sequence[ClipState]) -> list[list[_Shown]]:
        """The turns of each clip with their lines."""
        lines = iter(self.lines(states))
        return [[self._shown(turn, next(lines)) for turn in state.turns] for state in states]

    def _shown(self, turn: Turn, line: Line) -> _Shown:
        seen = self.format.seen(line)
        seen = seen if seen is None or self.has_clean else replace(seen, clean="")
        return _Shown(turn, seen or line, seen is None)

    def turn(self, was: _Shown, line: Line) -> Turn:
        """The turn of `was` with what differs in `line`."""
        turn, before = was.turn, was.line
        if line.start != before.start:
            turn = replace(turn, start=line.start / 1000)
        if line.end != before.end:
            turn = replace(turn, end=line.end / 1000)
        if line.speaker != before.speaker:
            turn = self._spoken_by(turn, line.speaker)
        if line.text != before.text:
            clean = turn.text_clean if self.has_clean or turn.text_clean is None else self.tidy(line.text)
            turn = replace(turn, text=line.text, text_clean=clean)
        if line.clean != before.clean:
            turn = replace(turn, text_clean=line.clean)
        return turn

    def new_turn(self, line: Line, clean: bool) -> Turn:
        """A turn that was not there; with a clean text, its own or by rule, if others have one."""
        tidied = line.clean or (self.tidy(line.text) if clean else None)
        turn = Turn(line.start / 1000, line.end / 1000, "", line.text, tidied)
        return self._spoken_by(turn, line.speaker)

    def _spoken_by(self, turn: Turn, name: str | None) -> Turn:
        if name == OVERLAP:
            return replace(turn, overlap=True)
        return replace(turn, overlap=False, speaker=self.actual.get(name, name or UNNAMED))


def merge(sheet: Sheet, known: Sequence[Known], dialect: Dialect, duration: int) -> Merged:
    """What a sheet, whose speakers go by their present names, makes of the clips of its recording, in order of time."""
    bases = [one.base or one.clip.state for one in known]
    room = rooms(bases, duration)
    placed = place(sheet.lines, room)
    verdicts, comments = (
        [None] * len(room) if notes is None else texts(notes, room)
        for notes in (sheet.verdicts, sheet.comments)
    )
    before, current = dialect.shown(bases), dialect.shown([one.clip.state for one in known])
    merged = Merged(outside=placed.outside, cut=placed.cut)
    for number, one in enumerate(known):
        lines = placed.lines[number]
        untold = not lines and any(not turn.hidden for turn in before[number])
        merged.untold += untold
        told = _Told(None if untold else lines, verdicts[number], comments[number])
        after, parted = _after(bases[number], before[number], told, dialect)
        if (
            after == bases[number]
            or _after(one.clip.state, current[number], told, dialect)[0] == one.clip.state
        ):
            merged.same += 1
        elif one.base != one.clip.state:
            merged.left += 1
        else:
            merged.after[number] = after
            merged.parted += parted
    return merged


def _after(base: ClipState, was: Sequence[_Shown], told: _Told, dialect: Dialect) -> tuple[ClipState, int]:
    """A clip as a file has it, and how many of its turns ran into the next."""
    after, parted = base, 0
    if told.lines is not None:
        lines = sorted((_named(line, was, dialect) for line in told.lines), key=_order)
        if lines != sorted((one.line for one in was if not one.hidden), key=_order):
            turns, parted = _apart(_turns(was, lines, dialect))
            after = replace(after, turns=tuple(turns))
    if told.verdict is not None and told.verdict[0] != verdict_text(base):
        verdict, reason = decided(*told.verdict)
        after = replace(after, verdict=verdict, reason=reason)
    if told.comment is not None and told.comment[0] != folded(base.comment):
        after = replace(after, comment=told.comment[0] or None)
    return after, parted


def _order(line: Line) -> tuple[int, int, str, str]:
    return line.start, line.end, line.speaker or "", line.text


def _named(line: Line, was: Sequence[_Shown], dialect: Dialect) -> Line:
    """The line with a speaker, where the file does not say who it is: whoever spoke there."""
    if line.speaker is not None:
        return line
    nearest = max(was, key=lambda one: shared(one.line, line), default=None)
    return replace(line, speaker=nearest.line.speaker if nearest else UNNAMED)


def _turns(was: Sequence[_Shown], lines: Sequence[Line], dialect: Dialect) -> list[Turn]:
    """The turns that the lines tell of, and those of which the format cannot tell."""
    pairs = _pairs(was, lines)
    clean = any(one.turn.text_clean is not None for one in was)
    turns = [
        dialect.turn(was[pairs[number]], line) if number in pairs else dialect.new_turn(line, clean)
        for number, line in enumerate(lines)
    ]
    kept = (one for number, one in enumerate(was) if one.hidden and number not in pairs.values())
    turns += (one.turn for one in kept if all(shared(one.line, line) <= _TOLERANCE for line in lines))
    return sorted(turns, key=lambda turn: (turn.start, turn.end))


def _pairs(was: Sequence[_Shown], lines: Sequence[Line]) -> dict[int, int]:
    """Number of a line -> that of the turn it was: of the same span, else of the same speaker, else of most shared time."""
    ranked: list[tuple[bool, bool, int, int, int]] = []
    for (number, line), (turn, one) in product(enumerate(lines), enumerate(was)):
        if (common := shared(one.line, line)) > 0:
            same = (one.line.start, one.line.end) == (line.start, line.end)
            ranked.append((same, one.line.speaker == line.speaker, common, number, turn))
    pairs: dict[int, int] = {}
    for *_, number, turn in sorted(ranked, reverse=True):
        if number not in pairs and turn not in pairs.values():
            pairs[number] = turn
    return pairs


def _apart(turns: Sequence[Turn]) -> tuple[list[Turn], int]:
    """The turns, each ended where the next begins, since one clip has one order of words; and how many were."""
    apart: list[Turn] = []
    parted = 0
    for turn in turns:
        if apart and turn.start < apart[-1].end - OVERLAP_TOLERANCE:
            before, parted = apart[-1], parted + 1
            at = turn.start
            if at - before.start < OVERLAP_TOLERANCE:  # they begin together: both need time of their own
                at = round((before.start + min(before.end, turn.end)) / 2, 3)
            apart[-1] = replace(before, end=at)
            turn = replace(turn, start=max(turn.start, at))
        apart.append(turn)
    return apart, parted
