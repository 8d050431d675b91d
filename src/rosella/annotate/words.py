"""Routes of words: found and replaced over the whole project, and their corrections offered again."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict, replace
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field

from rosella.annotate.bodies import Key
from rosella.annotate.clips import found, settling
from rosella.annotate.desk import Desk
from rosella.annotate.guard import Me
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change, Stale
from rosella.corpus.catalogue.search import pattern, search
from rosella.corpus.catalogue.tables import CorrectionRow
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError
from rosella.records import Turn
from rosella.web.faults import refusing

_EVERYTHING = 1_000_000
"""Places that are replaced at once."""
_TRIES = 3

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class Replacement(BaseModel):
    find: Text
    replace: Annotated[str, Field(max_length=1000)]
    whole: bool = True
    case: bool = False
    speaker: str | None = None

    def substitute(self, state: ClipState) -> ClipState:
        """The clip with the words replaced, in both texts of the turns that are meant."""
        wanted = pattern(self.find, self.whole, self.case)

        def put(text: str) -> str:
            return wanted.sub(lambda _: self.replace, text)

        def turn_of(turn: Turn) -> Turn:
            clean = turn.text_clean and put(turn.text_clean)
            meant = self.speaker in (None, "", turn.speaker)
            return replace(turn, text=put(turn.text), text_clean=clean) if meant else turn

        return replace(state, turns=tuple(map(turn_of, state.turns)))


def router(desk: Desk) -> APIRouter:
    """`/api/search`, which counts no further than one place more than it lists, `replace` and `suggestions`."""
    routes = desk.gate.routes()

    @routes.get("/search")
    def find(text: str = "", speaker: str = "", whole: bool = True, case: bool = False) -> dict[str, Any]:
        with refusing("text"):
            places = search(desk.catalogue, text, speaker or None, whole, case, desk.limits.found + 1)
        return {"found": [asdict(place) for place in places[: desk.limits.found]], "total": len(places)}

    @routes.post("/replace")
    def replace_all(wanted: Replacement, key: Key, me: Me) -> dict[str, Any]:
        with refusing("find"):
            places = search(
                desk.catalogue, wanted.find, wanted.speaker or None, wanted.whole, wanted.case, _EVERYTHING
            )
        batch = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{me.name} {key}"))
        done = _done(desk, batch)  # by an earlier try of the same request
        clips = [clip for clip in dict.fromkeys(place.clip for place in places) if clip not in done]
        left = sum(not _replace(desk, wanted, clip, me.name, key, batch) for clip in clips)
        desk.hub.wake()
        return {"changed": len(_done(desk, batch)), "left": left, "batch": batch}

    @routes.get("/suggestions")
    def suggestions(clip: str, me: Me) -> list[dict[str, Any]]:
        return [each.to_dict() for each in desk.suggestions.of(found(desk, clip).state)]

    return routes


def _replace(desk: Desk, wanted: Replacement, clip: str, author: str, key: str, batch: str) -> bool:
    """Whether the clip is now as it is wanted; where others save it meanwhile, it is looked at again."""
    for number in range(_TRIES):
        own = hashlib.sha256(f"{key} {clip} {number}".encode()).hexdigest()
        try:
            before = corrections.read(desk.catalogue, clip)
            after = wanted.substitute(before.state)
            if after != before.state:
                change = Change(before.id, before.version, after, "replace")
                corrections.save(
                    desk.catalogue, author, [change], own, batch=batch, also=settling(desk, author)
                )
        except Stale:
            continue
        except UserError:
            return False
        else:
            return True
    return False


def _done(desk: Desk, batch: str) -> set[str | None]:
    """Clips of a batch."""
    clips = sa.select(CorrectionRow.clip).where(CorrectionRow.batch == batch)
    with desk.catalogue.session() as session:
        return set(session.scalars(clips))
