"""What was said, as far as a model may go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak import voices

if TYPE_CHECKING:
    from rosella.codec.interface import Codec


class Said(NamedTuple):
    """A text with its tags and the codes [frames, codebooks] in which it was said, to go on from."""

    text: str
    codes: np.ndarray

    def then(self, other: Said, breath: np.ndarray) -> Said:
        """Both, one after the other, with the codes of a breath between them."""
        if not self.text:
            return other
        codes = np.concatenate([self.codes, breath, other.codes])
        return Said(voices.continued(self.text, other.text), codes)


@dataclass(frozen=True)
class Past:
    """The clips that were given, and of what was said the first piece of each speaker and the last, in their order.

    It stays this small however much was said. `fingerprint` is the codec's, and `breath` its codes of a short silence.
    """

    clips: Said
    pieces: tuple[Said, ...]
    fingerprint: str
    breath: np.ndarray

    @classmethod
    def of(cls, voice: voices.Voices | Past | None, codec: Codec) -> Past:
        """That of a speech which begins in these voices; UserError where they are another codec's."""
        if isinstance(voice, Past):
            if voice.fingerprint != codec.fingerprint:
                raise UserError(
                    f"The earlier speech was made with the codec {voice.fingerprint} and the model speaks with "
                    f"{codec.fingerprint}: go on with the model that made it."
                )
            return voice
        clips = Said("", np.zeros((0, codec.num_codebooks), np.uint16))
        if voice is not None:
            clips = Said(voices.transcript(voice), voices.codes(voice, codec))
        return cls(clips, (), codec.fingerprint, voices.breath(codec))

    def after(self, said: Said) -> Past:
        """The past once this was said too."""
        pieces = (*self.pieces, said)
        first = {min(n for n, piece in enumerate(pieces) if tag in piece.text) for tag in _tags(pieces)}
        kept = sorted({*first, len(pieces) - 1})
        return replace(self, pieces=tuple(pieces[n] for n in kept))

    def before(self, text: str) -> Iterator[Said]:
        """What a text may go on from, the best first: the clips, else the first piece of each of its speakers, and the last.

        Then the first pieces alone, or the last, and at last only the clips: for where there is no room for more.
        """
        last = list(range(len(self.pieces)))[-1:]
        first = [] if self.clips.text else self._first(text)
        for chosen in (sorted({*first, *last}), first, last, []):
            yield reduce(lambda so_far, n: so_far.then(self.pieces[n], self.breath), chosen, self.clips)

    def _first(self, text: str) -> list[int]:
        """The first piece in which each speaker of a text spoke, if he did, in the order of the pieces."""
        heard = (
            next((n for n, piece in enumerate(self.pieces) if tag in piece.text), None)
            for tag in dialogue.speaker_tags(text)
        )
        return sorted({number for number in heard if number is not None})


def _tags(pieces: Sequence[Said]) -> set[str]:
    return {tag for piece in pieces for tag in dialogue.speaker_tags(piece.text)}
