"""What a model is told of the voices to speak in: clips and their transcripts, and the text that goes on from them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.voices import AnyVoice, Voice, encoded

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

    @property
    def tags(self) -> set[str]:
        """Of those who speak."""
        return set(dialogue.speaker_tags(self.text))

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


def codes(voice: AnyVoice, codec: Codec) -> np.ndarray:
    """The codes of a clip uint16 [frames, codebooks]; UserError where they are another codec's."""
    if isinstance(voice, Voice):
        return encoded(voice, codec)
    if voice.codec.fingerprint != codec.fingerprint:
        raise UserError(
            f"The voice was saved with the codec {voice.codec.fingerprint} and the model speaks with "
            f"{codec.fingerprint}: save its clip again for this model (rosella voice save --model)."
        )
    return voice.codes
