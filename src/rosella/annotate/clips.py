"""Routes of clips: the next one, one as it is, its sound, saving and undoing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from rosella.annotate import queue, twice
from rosella.annotate.accounts import ANNOTATOR
from rosella.annotate.audio import PEAKS, Sound, ranged
from rosella.annotate.bodies import GivenTurn, Key, Saved, span, view
from rosella.annotate.check import faults_of
from rosella.annotate.desk import Desk
from rosella.annotate.guard import Me
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Also, Change, Stale
from rosella.corpus.corrections.clip import AnnotatedClip
from rosella.errors import UserError
from rosella.web.faults import Refusal, refusing

_LOOK = 0.2
"""Seconds between looks at a queue that is being filled for the first time."""

Number = Annotated[int, Path(ge=0, lt=2**63)]
Batch = Annotated[str, Path(pattern=r"^[\w-]{1,36}$")]


class After(BaseModel):
    after: str | None = None


class Written(BaseModel):
    turns: list[GivenTurn]


def routers(desk: Desk) -> list[APIRouter]:
    """`/api/next`, `clips`, `corrections`, `batches` and `check`."""
    return [_reading(desk), _sounds(desk), _writing(desk)]


def found(desk: Desk, clip: str) -> AnnotatedClip:
    """A clip, or a Refusal where there is none."""
    try:
        return corrections.read(desk.catalogue, clip)
    except UserError as error:
        raise Refusal(HTTPStatus.NOT_FOUND, str(error), code="clip_not_found") from error


def settling(desk: Desk, author: str) -> Also:
    """Brings the queue up to a correction."""

    def settle(session: Session, clip: AnnotatedClip) -> None:
        queue.settle(session, clip, author, desk.limits.twice)

    return settle


def _reading(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    @routes.post("/next", response_model=None)
    def following(asked: After, me: Me) -> dict[str, Any] | Response:
        while True:
            filled = desk.filled.is_set()
            queued = queue.next_clip(desk.catalogue, me.name, asked.after, me.role != ANNOTATOR)
            if queued is not None:
                return view(desk, found(desk, queued.clip), me)
            if filled:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            desk.filled.wait(_LOOK)

    @routes.get("/clips/{clip}")
    def clip(clip: str, me: Me) -> dict[str, Any]:
        return view(desk, found(desk, clip), me)

    @routes.post("/check")
    def check(written: Written) -> dict[str, Any]:
        return {"faults": faults_of([turn.turn for turn in written.turns])}

    return routes


def _sounds(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    def sound_of(clip: str) -> Sound:
        known = found(desk, clip)
        start, end = span(desk, known, desk.catalogue.get(known.recording).duration)
        return desk.sounds.span(known.recording, start, end)

    @routes.get("/clips/{clip}/audio")
    def audio(clip: str, request: Request) -> Response:
        return ranged(sound_of(clip).wav, "audio/wav", request.headers.get("range"))

    @routes.get("/clips/{clip}/peaks")
    def peaks(clip: str) -> dict[str, Any]:
        sound = sound_of(clip)
        return {"start": sound.start, "end": sound.end, "rate": PEAKS, "peaks": sound.peaks}

    return routes


def _writing(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    @routes.put("/clips/{clip}", response_model=None)
    def save(clip: str, saved: Saved, key: Key, me: Me) -> dict[str, Any] | Response:
        change = Change(clip, saved.version, saved.state.state, saved.action)
        try:
            made = twice.save_second(desk.catalogue, me.name, change, saved.seconds)
            if made is None:
                also = settling(desk, me.name)
                (made,) = corrections.save(desk.catalogue, me.name, [change], key, saved.seconds, also=also)
        except Stale as stale:
            return _moved_on(desk, stale, me)
        except UserError as error:
            found(desk, clip)
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error), param="state") from error
        desk.hub.wake()
        return view(desk, made, me)

    @routes.post("/corrections/{number}/undo", response_model=None)
    def undo(number: Number, key: Key, me: Me) -> dict[str, Any] | Response:
        try:
            with refusing("number"):
                clips = corrections.undo(desk.catalogue, me.name, number, key, settling(desk, me.name))
        except Stale as stale:
            return _moved_on(desk, stale, me)
        desk.hub.wake()
        return {"clips": [view(desk, clip, me) for clip in clips]}

    @routes.post("/batches/{batch}/undo")
    def undo_batch(batch: Batch, key: Key, me: Me) -> dict[str, Any]:
        with refusing("batch"):
            clips, left = corrections.undo_batch(desk.catalogue, me.name, batch, key, settling(desk, me.name))
        desk.hub.wake()
        return {"clips": len(clips), "left": left}

    return routes


def _moved_on(desk: Desk, stale: Stale, me: Me) -> Response:
    refusal = Refusal(HTTPStatus.CONFLICT, str(stale), code="stale")
    return JSONResponse({**refusal.body, "current": view(desk, stale.current, me)}, refusal.status)
