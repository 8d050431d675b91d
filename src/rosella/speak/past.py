"""What was said, as far as a model may go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.clips import Clips, Said, Start

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.speak.voices import Voices


@dataclass(frozen=True)
class Past:
    """The clips that were given, and of what was said the first piece of each speaker and the last, in their order.

    It stays this small however much was said. `fingerprint` is the codec's.
    """

    clips: Clips
    pieces: tuple[Said, ...]
    fingerprint: str

    @classmethod
    def of(cls, voice: Voices | Past | None, codec: Codec) -> Past:
        """That of a speech which begins in these voices; UserError where they are another codec's."""
        if not isinstance(voice, Past):
            return cls(Clips.of(voice, codec), (), codec.fingerprint)
        if voice.fingerprint != codec.fingerprint:
            raise UserError(
                f"The earlier speech was made with the codec {voice.fingerprint} and the model speaks with "
                f"{codec.fingerprint}: go on with the model that made it."
            )
        return voice

    def after(self, said: Said) -> Past:
        """The past once this was said too."""
        pieces = (*self.pieces, said)
        first = {min(n for n, piece in enumerate(pieces) if tag in piece.text) for tag in _tags(pieces)}
        kept = sorted({*first, len(pieces) - 1})
        return replace(self, pieces=tuple(pieces[n] for n in kept))

    def before(self, text: str) -> Iterator[Start]:
        """What a text may go on from, the best first: the clips alone where they show all of its speakers.

        Else the clips, the first piece of each other speaker and the last piece; then the first ones or the last; at last
        only the clips: for where there is no room for more. What was said strays from its voice a little, piece by piece,
        and what goes on from it strays farther.
        """
        unknown = set(dialogue.speaker_tags(text)) - self.clips.shown
        if unknown:
            first, last = self._first(unknown), list(range(len(self.pieces)))[-1:]
            for chosen in (sorted({*first, *last}), first, last):
                yield self.clips.before(text, [self.pieces[n] for n in chosen])
        yield self.clips.before(text)

    def _first(self, tags: set[str]) -> list[int]:
        """The first piece in which each of these spoke, if he did, in the order of the pieces."""
        heard = (next((n for n, piece in enumerate(self.pieces) if tag in piece.text), None) for tag in tags)
        return sorted({number for number in heard if number is not None})


def _tags(pieces: Sequence[Said]) -> set[str]:
    return {tag for piece in pieces for tag in dialogue.speaker_tags(piece.text)}
