"""What a model is told of the voices to speak in: clips and their transcripts, and the text that goes on from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.voices import AnyVoice, Voice, Voices, encoded, require_one_each, said_by

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.inference.layout import Prompt
    from rosella.model.config import DiaConfig

BREATH = 0.1
"""Seconds of silence between two clips."""


class Said(NamedTuple):
    """A text with its tags and the codes uint16 [frames, codebooks] in which it was said; an empty text for nothing."""

    text: str
    codes: np.ndarray

    def then(self, other: Said, breath: np.ndarray) -> Said:
        """Both, one after the other, with the codes of a breath between them."""
        if not self.text:
            return other
        return Said(continued(self.text, other.text), np.concatenate([self.codes, breath, other.codes]))


class Start(NamedTuple):
    """What a text goes on from, and the text as it is said then."""

    before: Said
    text: str

    @property
    def seen(self) -> str:
        """All that the model reads."""
        return continued(self.before.text, self.text) if self.before.text else self.text

    @property
    def prompt(self) -> Prompt | None:
        if not self.before.text:
            return None
        from rosella.inference.layout import Prompt

        return Prompt(self.before.codes, len(dialogue.encode(self.before.text)))

    def ids(self, limit: int) -> np.ndarray:
        """Byte ids int32 [bytes] of all that is read; UserError says whether transcript or text is longer than `limit`."""
        if not self.before.text:
            return dialogue.encode(self.text, limit)
        free, ids = bytes_after(self.before.text, limit), dialogue.encode(self.seen)
        if len(ids) > limit:
            raise UserError(
                f"The text has {free + len(ids) - limit} bytes, and after the transcript of the voice the model reads at "
                f"most {free}: shorten or split the text, or give a shorter clip."
            )
        return ids


class Clips(NamedTuple):
    """What a model can be shown: a clip of whoever speaks in it (`None`), or one of each speaker by his tag."""

    said: Mapping[str | None, Said]
    breath: np.ndarray
    """Codes uint16 [frames, codebooks] of the silence between two of them."""

    @classmethod
    def of(cls, voice: Voices | None, codec: Codec) -> Clips:
        """The clips of voices; UserError where they are another codec's, or not one person's each."""
        said: dict[str | None, Said] = {}
        if isinstance(voice, Mapping):
            for tag, each in require_one_each(voice):
                said[tag] = Said(said_by(each.text, tag), _codes(each, codec))
        elif voice is not None:
            said[None] = Said(dialogue.tagged(voice.text), _codes(voice, codec))
        return cls(said, breath(codec))

    @property
    def all(self) -> Said:
        """Every clip, one after the other."""
        return self.joined(self.said.values())

    @property
    def shown(self) -> set[str]:
        """The tags of those who speak in the clips."""
        return set(dialogue.speaker_tags(self.all.text))

    def before(self, text: str, said: Iterable[Said] = ()) -> Start:
        """The clips of those who speak in a text, in the order in which they do, and what was said since.

        Then nobody's own clip stands right before what he says, unless he speaks alone: who goes on after another's turn is
        what a model heard in training. In the text all speakers are numbered anew, as they come.
        """
        if None in self.said:
            return Start(self.joined((self.said[None], *said)), text)
        speaking = dict.fromkeys(dialogue.speaker_tags(text))
        start = Start(self.joined((*(self.said[tag] for tag in speaking if tag in self.said), *said)), text)
        if not self.said:
            return start
        order = dict.fromkeys(dialogue.speaker_tags(start.seen))
        before = start.before._replace(text=dialogue.renumbered(start.before.text, order))
        return Start(before, dialogue.renumbered(text, order))

    def joined(self, said: Iterable[Said]) -> Said:
        nothing = Said("", self.breath[:0])
        return reduce(lambda so_far, each: so_far.then(each, self.breath), said, nothing)


@lru_cache(maxsize=4)
def breath(codec: Codec) -> np.ndarray:
    """The codes of a short silence, as people leave it between turns: without it a model takes two voices for one.

    They are asked for by every speech, and a large codec takes longer for them than the first sound may.
    """
    return codec.encode([np.zeros(round(BREATH * codec.sample_rate), np.float32)])[0]


def continued(before: str, text: str) -> str:
    """Both as one text, with a tag at each change of speaker only, as in the utterances trained on."""
    return f"{before} {text.lstrip().removeprefix(dialogue.speaker_tags(before)[-1]).lstrip()}"


def room_after(frames: int, config: DiaConfig, frame_rate: float) -> int:
    """Frames that a model has room for after so many of clips; UserError where that is none."""
    held, free = config.room(), config.room(frames)
    if free <= 0:
        raise UserError(
            f"The voice clip lasts {frames / frame_rate:.1f} s, and the model holds {held / frame_rate:.1f} s "
            "of clip and speech together: shorten the clip and its transcript, or give fewer voices."
        )
    return free


def bytes_after(before: str, limit: int) -> int:
    """Bytes of `limit` that a transcript leaves; UserError where that is none."""
    taken = len(dialogue.encode(before)) if before else 0
    if taken >= limit:
        raise UserError(
            f"The transcript of the voice has {taken} bytes, and the model reads {limit} of transcript and text "
            "together: shorten the clip and its transcript, or give fewer voices."
        )
    return limit - taken


def _codes(voice: AnyVoice, codec: Codec) -> np.ndarray:
    if isinstance(voice, Voice):
        return encoded(voice, codec)
    if voice.codec.fingerprint != codec.fingerprint:
        raise UserError(
            f"The voice was saved with the codec {voice.codec.fingerprint} and the model speaks with "
            f"{codec.fingerprint}: save its clip again for this model (rosella voice save --model)."
        )
    return voice.codes
