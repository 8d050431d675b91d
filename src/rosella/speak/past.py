"""In whose voices a speech goes on: those of the clips that were given, and of who spoke since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak import clips
from rosella.speak.clips import Said, Start
from rosella.speak.voices import SHORTEST, Voices, require_one_each, said_by

if TYPE_CHECKING:
    from rosella.codec.interface import Codec


@dataclass(frozen=True)
class Past:
    """What shows each voice: the clips that were given, and of who has none a turn that he said. It stays small.

    What was said strays from its voice a little, and what goes on from that strays farther, piece by piece: so the last
    piece is none of it.
    """

    shown: tuple[Said, ...]
    """Of a speaker each, or of several where they could not be told apart."""
    given: int
    """So many of them, the first, are clips that were given."""
    fingerprint: str
    """That of the codec."""
    enough: int
    """So many frames show a voice; of who said less than that until now, longer turns are waited for."""
    breath: np.ndarray
    """Codes uint16 [frames, codebooks] of the silence between two of them."""

    @classmethod
    def of(cls, voice: Voices | Past | None, codec: Codec) -> Past:
        """That of a speech that begins in these voices; UserError where they are another codec's, or not of one each."""
        if not isinstance(voice, Past):
            shown = tuple(_given(voice, codec))
            enough = round(SHORTEST * codec.frame_rate)
            return cls(shown, len(shown), codec.fingerprint, enough, clips.breath(codec))
        if voice.fingerprint != codec.fingerprint:
            raise UserError(
                f"The earlier speech was made with the codec {voice.fingerprint} and the model speaks with "
                f"{codec.fingerprint}: go on with the model that made it."
            )
        return voice

    @property
    def known(self) -> set[str]:
        """The tags of those whose voices are shown well enough."""
        long = (said for n, said in enumerate(self.shown) if n < self.given or len(said.codes) >= self.enough)
        return {tag for said in long for tag in said.tags}

    @property
    def clips(self) -> Said:
        """All that were given, one after the other."""
        return self._joined(self.shown[: self.given])

    def after(self, turns: Iterable[Said]) -> Past:
        """The past once these were said too: of each who is not known yet the first that is long enough, or the longest."""
        past = self
        for turn in turns:
            if not turn.tags <= past.known:
                past = past._with(turn)
        return past

    def before(self, text: str, given: bool = False) -> Start:
        """What shows those who speak in a text, in the order in which they do; no more than the clips that were `given`.

        So nobody's own clip stands right before what he says, unless he speaks alone: who goes on after another's turn is
        what a model heard in training. Before somebody unknown all others stand too, whom he is to differ from. The speakers
        are numbered anew as they come.
        """
        order = list(dict.fromkeys(dialogue.speaker_tags(text)))
        shown = self.shown[: self.given] if given else self.shown
        unknown = set(order) - {tag for said in shown for tag in said.tags}
        places = [min((order.index(tag) for tag in said.tags if tag in order), default=-1) for said in shown]
        chosen = [n for n, place in enumerate(places) if unknown or place >= 0]
        if not chosen:
            return Start(self._joined([]), text)
        before = self._joined(shown[n] for n in sorted(chosen, key=places.__getitem__))
        order = dict.fromkeys(dialogue.speaker_tags(f"{before.text} {text}"))
        named = before._replace(text=dialogue.renumbered(before.text, order))
        return Start(named, dialogue.renumbered(text, order))

    def _with(self, turn: Said) -> Past:
        given, since = self.shown[: self.given], self.shown[self.given :]
        if any(turn.tags <= said.tags and len(turn.codes) <= len(said.codes) for said in since):
            return self
        return replace(self, shown=(*given, *(said for said in since if not said.tags <= turn.tags), turn))

    def _joined(self, said: Iterable[Said]) -> Said:
        nothing = Said("", self.breath[:0])
        return reduce(lambda so_far, each: so_far.then(each, self.breath), said, nothing)


def _given(voice: Voices | None, codec: Codec) -> Iterable[Said]:
    if isinstance(voice, Mapping):
        for tag, each in require_one_each(voice):
            yield Said(said_by(each.text, tag), clips.codes(each, codec))
    elif voice is not None:
        yield Said(dialogue.tagged(voice.text), clips.codes(voice, codec))
