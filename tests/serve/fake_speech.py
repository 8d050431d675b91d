"""A stand-in for the routes of speech, voices and consents: every speaker hums a tone of his own, as long as his text."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, Form, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from rosella.audio.encoding import Encoder
from rosella.serve import speech
from rosella.speak.script import read_script, split
from rosella.web.faults import Refusal, install

RATE = 16_000
PIECE = RATE // 5
SECONDS = 0.04
"""How long a character takes."""
TONES = {"S1": 200.0, "S2": 300.0, "S3": 400.0, "S4": 500.0}
FIRST, LATER = 8000, 4000
"""How loud a speech is, and one that goes on from another."""
MADE_BY = "Rosella: made by a model"
PHRASES = {
    "nl": "Ik stem ermee in dat mijn stem wordt nagebootst.",
    "en": "I agree that my voice is imitated.",
}


class Asked(BaseModel):
    """The body of a request for speech; anything else in it is refused."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[str, Field(max_length=4096)]
    voices: dict[str, str | dict[Literal["id"], str]] = {}
    response_format: Literal["wav"]
    stream_format: Literal["sse"]
    continue_from: str | None = None
    seed: int | None = None


@dataclass
class Fake:
    """What the server shall do, and what it was asked."""

    held_after: int | None = None
    """Pieces after which it waits until this is None."""
    breaks_after: int | None = None
    """Pieces after which the model fails."""
    hangs_up_after: int | None = None
    """Pieces after which the connection ends without a word."""
    busy_for: int | None = None
    """Seconds after which to try again, as long as it is too busy."""
    asked: list[Asked] = field(default_factory=list)
    given_up: int = 0
    """Streams that their readers left."""
    voices: dict[str, dict[str, Any]] = field(default_factory=dict)
    consents: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    """Recordings that were sent: what for, and their bytes."""

    def add_voice(self, name: str, **facts: Any) -> str:
        number = f"voice_{len(self.voices)}"
        told = {"id": number, "object": "audio.voice", "name": name, "created_at": 0, "built_in": False}
        self.voices[number] = told | facts
        return number


def app(fake: Fake) -> FastAPI:
    """All routes that the page uses, but for its own."""
    application = FastAPI()
    install(application, speech.PURPOSE)
    application.include_router(_speech(fake))
    application.include_router(_voices(fake))
    return application


def _speech(fake: Fake) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/audio/speech")
    def speech(asked: Asked) -> StreamingResponse:
        if fake.busy_for is not None:
            headers = {"Retry-After": str(fake.busy_for)}
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "All places are taken; wait a little.", headers=headers
            )
        number = int(asked.continue_from.removeprefix("speech_")) if asked.continue_from else 0
        if number >= max(1, len(fake.asked)):
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such speech; speak the dialogue anew.")
        fake.asked.append(asked)
        name = f"speech_{len(fake.asked) - 1}"
        return StreamingResponse(_events(fake, asked, name), media_type="text/event-stream")

    return routes


async def _events(fake: Fake, asked: Asked, name: str) -> AsyncIterator[str]:
    samples, cues = said(asked.input, FIRST if asked.continue_from is None else LATER)
    encoder = Encoder("wav", RATE, {"comment": MADE_BY})
    sound = encoder.push(samples / np.float32(32768)) + encoder.finish()
    ends = range(0, len(sound), PIECE * 2 + 1)  # odd, so that samples are cut in two
    finished = False
    try:
        for number, start in enumerate(ends):
            if number == fake.breaks_after:
                fault = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "The model broke down; speak again.")
                yield _event(fault.body | {"type": "error"})
                return
            if number == fake.hangs_up_after:
                return
            while number == fake.held_after:
                await asyncio.sleep(0.01)
            piece = base64.b64encode(sound[start : start + PIECE * 2 + 1]).decode()
            yield _event({"type": "speech.audio.delta", "audio": piece})
        yield _event(
            {"type": "speech.audio.done", "id": name, "stopped": True, "cues": cues, "sample_rate": RATE}
        )
        finished = True
    finally:
        fake.given_up += not finished


def said(text: str, loud: int = FIRST) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Samples int16 [n] of a script, and its cues."""
    script = read_script(text)
    waves, cues, at = [np.zeros(round(script.pause_before * RATE))], [], script.pause_before
    for piece in split(script, limit=100):
        for part in piece.parts:
            seconds = len(part.text) * SECONDS
            times = np.arange(round(seconds * RATE)) / RATE
            waves.append(loud * np.sin(2 * np.pi * TONES[part.speaker] * times))
            cues.append({"start": at, "end": at + seconds, "speaker": part.speaker, "text": part.text})
            at += seconds
        waves.append(np.zeros(round(piece.pause_after * RATE)))
        at += piece.pause_after
    return np.concatenate(waves).astype("<i2"), cues


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _voices(fake: Fake) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/audio/voices")
    def voices() -> dict[str, Any]:
        return {"object": "list", "data": list(fake.voices.values()), "has_more": False}

    @routes.delete("/v1/audio/voices/{number}")
    def remove(number: str) -> dict[str, Any]:
        del fake.voices[number]
        return {"id": number, "object": "audio.voice", "deleted": True}

    @routes.get("/v1/audio/voice_consents/phrases")
    def phrases() -> dict[str, Any]:
        return {
            "object": "list",
            "data": [{"language": each, "phrase": said} for each, said in PHRASES.items()],
        }

    @routes.post("/v1/audio/voice_consents")
    def agree(
        name: Annotated[str, Form()], language: Annotated[str, Form()], recording: UploadFile
    ) -> dict[str, Any]:
        fake.heard.append(("consent", recording.file.read()))
        number = f"consent_{len(fake.consents)}"
        fake.consents[number] = {
            "id": number,
            "object": "audio.voice_consent",
            "name": name,
            "language": language,
        }
        return fake.consents[number]

    @routes.post("/v1/audio/voices")
    def save(
        name: Annotated[str, Form()],
        consent: Annotated[str, Form()],
        audio_sample: UploadFile,
        language: Annotated[str | None, Form()] = None,
        text: Annotated[str | None, Form()] = None,
    ) -> dict[str, Any]:
        if consent not in fake.consents:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "There is no such consent; record it first.", param="consent"
            )
        fake.heard.append(("sample", audio_sample.file.read()))
        return fake.voices[fake.add_voice(name, consent=consent, language=language, text=text)]

    return routes
