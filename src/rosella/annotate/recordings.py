"""Routes of recordings: who speaks in them, by which name, and how they sound."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from rosella.annotate.audio import ranged
from rosella.annotate.bodies import Key
from rosella.annotate.desk import Desk
from rosella.annotate.guard import Me
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.clips import all_corrected
from rosella.corpus.catalogue.names import Names
from rosella.corpus.catalogue.rows import turns_of
from rosella.records import Turn
from rosella.web.faults import Refusal, refusing

_HEARD = 10.0
"""Seconds of a speaker that are played."""


class Renamed(BaseModel):
    before: str
    after: str


def router(desk: Desk) -> APIRouter:
    """`/api/recordings/ID/speakers`."""
    routes = desk.gate.routes()

    @routes.get("/recordings/{recording}/speakers")
    def speakers(recording: str) -> dict[str, Any]:
        return {"speakers": _told(_turns(desk, recording))}

    @routes.post("/recordings/{recording}/speakers")
    def rename(recording: str, renamed: Renamed, key: Key, me: Me) -> dict[str, Any]:
        _require(desk, recording)
        with refusing("after"):
            number = corrections.rename_speaker(
                desk.catalogue, me.name, recording, renamed.before, renamed.after, key
            )
        desk.hub.wake()
        return {"number": number, "speakers": _told(_turns(desk, recording))}

    @routes.get("/recordings/{recording}/speakers/{name}/audio")
    def sound(recording: str, name: str, request: Request) -> Response:
        own = [turn for turn in _turns(desk, recording) if turn.speaker == name]
        if not own:
            raise Refusal(
                HTTPStatus.NOT_FOUND, "Nobody in the recording is called that.", code="speaker_not_found"
            )
        turn = max(own, key=lambda turn: turn.end - turn.start)
        heard = desk.sounds.span(recording, turn.start, min(turn.end, turn.start + _HEARD))
        return ranged(heard.wav, "audio/wav", request.headers.get("range"))

    return routes


def _told(turns: list[Turn]) -> list[dict[str, Any]]:
    spoken: dict[str, list[float]] = {}
    for turn in turns:
        spoken.setdefault(turn.speaker, []).append(turn.end - turn.start)
    return [
        {"name": name, "seconds": round(sum(lengths), 3), "turns": len(lengths)}
        for name, lengths in sorted(spoken.items())
    ]


def _require(desk: Desk, recording: str) -> None:
    if not recording.isprintable() or desk.catalogue.known(recording) is None:
        raise Refusal(
            HTTPStatus.NOT_FOUND, "There is no such recording: it was removed.", code="recording_not_found"
        )


def _turns(desk: Desk, recording: str) -> list[Turn]:
    """Who speaks when, by the present names: as people corrected it, and elsewhere as it was heard."""
    _require(desk, recording)
    with desk.catalogue.snapshot() as session:
        names = Names.read(session, recording)
        states = [opened.clip.state for opened in all_corrected(session, recording, names)]
        heard = [
            replace(turn, speaker=names.now(turn.speaker))
            for turn in turns_of(session, recording, None)
            if not turn.overlap
            and not any(state.start < (turn.start + turn.end) / 2 < state.end for state in states)
        ]
    return heard + [turn for state in states for turn in state.said]
