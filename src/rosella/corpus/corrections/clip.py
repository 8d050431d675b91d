"""What a person hears and corrects at once, and what of it may be kept."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from rosella import dialogue
from rosella.errors import UserError
from rosella.records import Record, Turn, check_turns

Verdict = Literal["accepted", "rejected", "second"]
"""The last asks for a second opinion."""

ACCEPTED, REJECTED, SECOND = "accepted", "rejected", "second"
HUMAN, EDITED = "human", "edited"
OF_PEOPLE = (HUMAN, EDITED)
"""Sources of transcripts that no recogniser and no stage writes over: accepted by a person, or at least changed."""

LONGEST_NAME, LONGEST_REMARK = 100, 2000
"""Characters of a speaker's name; of a reason or a comment."""


@dataclass(frozen=True)
class ClipState(Record):
    """A span of a recording (seconds) with its turns, and what a person thinks of it.

    A turn with `overlap` is not to be used: several speak, or there is music or noise.
    """

    start: float
    end: float
    turns: tuple[Turn, ...]
    verdict: Verdict | None = None
    reason: str | None = None
    comment: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        turns = tuple(Turn.from_dict(turn) for turn in values["turns"])
        return super().from_dict({**values, "turns": turns})

    @property
    def said(self) -> tuple[Turn, ...]:
        """The turns an utterance is made of."""
        return tuple(turn for turn in self.turns if is_said(turn))

    @property
    def unjudged(self) -> ClipState:
        return replace(self, verdict=None, reason=None, comment=None)


@dataclass(frozen=True)
class AnnotatedClip:
    """An utterance that people may correct, known by the id of the utterance it was opened from, also where it moves.

    `version` is the number of corrections so far. `draft` is what the machine or the manifest said, with its
    `confidence` and `source` (manifest or model).
    """

    id: str
    recording: str
    version: int
    state: ClipState
    draft: ClipState
    confidence: float | None
    source: str


def is_said(turn: Turn) -> bool:
    """Whether a turn becomes part of an utterance."""
    return not turn.overlap and bool(turn.text)


def is_of_people(state: ClipState, draft: ClipState) -> bool:
    """Whether the words or the times are a person's: accepted, rejected or changed. Otherwise they are the machine's."""
    return state.verdict in (ACCEPTED, REJECTED) or state.unjudged != draft.unjudged


def checked(state: ClipState, low: float, high: float, known: Collection[str] = ()) -> ClipState:
    """The state as it is kept: texts normalised, times in milliseconds, the span around its turns.

    A UserError says why it cannot be: also where it leaves the time from `low` to `high`, seconds. Names of
    speakers are checked unless they are `known`.
    """
    turns = tuple(_checked_turn(number, turn, known) for number, turn in enumerate(state.turns, 1))
    for time in (state.start, state.end):
        if not math.isfinite(time):
            raise UserError("The clip has no valid times: give seconds from 0 on.")
    check_turns(turns)
    start = round(min([state.start, *(turn.start for turn in turns)]), 3)
    end = round(max([state.end, *(turn.end for turn in turns)]), 3)
    if end <= start:
        raise UserError(
            f"The clip runs backwards ({start:.2f} to {end:.2f} s): its end must follow its start."
        )
    if start < low - 5e-4 or end > high + 5e-4:
        raise UserError(
            f"The clip would last from {start:.2f} to {end:.2f} s, and between its neighbours there is only "
            f"{low:.2f} to {high:.2f} s: move its edges inside."
        )
    kept = replace(
        state, start=start, end=end, turns=turns, reason=_remark(state.reason), comment=_remark(state.comment)
    )
    _check_speakers(kept)
    if kept.verdict == ACCEPTED and not kept.said:
        raise UserError(
            "Nobody says anything in the clip: write down what is said, or reject it with a reason."
        )
    return kept


def check_name(name: str) -> str:
    """The name of a speaker, in NFC; a UserError where it cannot be one."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise UserError("A speaker has no name: give one.")
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise UserError(
            f"A speaker's name holds what cannot be printed, or more than {LONGEST_NAME} characters."
        )
    return name


def _checked_turn(number: int, turn: Turn, known: Collection[str]) -> Turn:
    if not (math.isfinite(turn.start) and math.isfinite(turn.end)):
        raise UserError(f"Turn {number} has no valid times: give seconds from 0 on.")
    try:
        return replace(
            turn,
            start=round(turn.start, 3),
            end=round(turn.end, 3),
            speaker=_name(turn, known),
            text=_words(turn.text),
            text_clean=None if turn.text_clean is None else _words(turn.text_clean),
        )
    except UserError as error:
        raise UserError(f"Turn {number}: {error}") from None


def _name(turn: Turn, known: Collection[str]) -> str:
    nobody = turn.overlap and not turn.speaker
    return turn.speaker if nobody or turn.speaker in known else check_name(turn.speaker)


def _words(text: str) -> str:
    if not text.strip():
        return ""
    if dialogue.speaker_tags(text):
        raise UserError("The text holds a speaker tag; split the turn there and name its speaker.")
    return dialogue.normalise(text).strip()


def _remark(text: str | None) -> str | None:
    """A reason or a comment; lines may break."""
    if text is None or not text.strip():
        return None
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if len(text) > LONGEST_REMARK:
        raise UserError(f"A reason or comment has {len(text)} characters; write at most {LONGEST_REMARK}.")
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise UserError("A reason or comment holds a character that cannot be printed; remove it.")
    return text


def _check_speakers(state: ClipState) -> None:
    speakers = {turn.speaker for turn in state.said}
    if len(speakers) > len(dialogue.TAGS):
        raise UserError(
            f"{len(speakers)} people speak in the clip and an utterance holds at most {len(dialogue.TAGS)}: "
            "mark a turn as not usable."
        )
