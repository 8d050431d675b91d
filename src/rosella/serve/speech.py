"""`POST /v1/audio/speech`, as OpenAI's clients send it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from rosella.audio.encoding import FORMATS
from rosella.errors import RosellaError
from rosella.serve.models import require_model
from rosella.serve.rendering import Rendering, fault, server_sent
from rosella.serve.studio import Order, Speech, Studio
from rosella.speak import provenance
from rosella.web.bodies import limited
from rosella.web.faults import Refusal

logger = logging.getLogger(__name__)

T = TypeVar("T")

PURPOSE = "speech is made at /v1/audio/speech"
"""What the server is for."""

CLOSED = 499
"""What is logged of a request whose client left before it was answered."""


class VoiceId(BaseModel):
    id: str


Named = str | VoiceId


class Asked(BaseModel):
    """How a text is spoken: OpenAI's fields, and ours: `voices` by speaker, `seed`, and the id of an earlier speech."""

    model: str = ""
    voice: Named | None = None
    voices: dict[Literal["S1", "S2", "S3", "S4"], Named] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    continue_from: str | None = None

    def order(self, text: str | Iterable[str]) -> Order:
        voices = {str(who): name_of(voice) for who, voice in (self.voices or {}).items()}
        voice = None if self.voice is None else name_of(self.voice)
        return Order(text, voices or voice, self.seed, self.continue_from, self.speed)


class SpeechRequest(Asked):
    input: Annotated[str, Field(min_length=1)]


def name_of(voice: Named) -> str:
    """Names and ids are one."""
    return voice if isinstance(voice, str) else voice.id


def router(studio: Studio) -> APIRouter:
    routes, limits = APIRouter(route_class=limited(studio.limits.body)), studio.limits

    @routes.post("/v1/audio/speech")
    async def speak(asked: SpeechRequest, request: Request) -> Response:
        require_model(asked.model, studio.name)
        _require(asked, limits.characters)
        rendering = Rendering(asked.response_format, provenance.marks(studio.name))
        make = rendering.audio if asked.stream_format == "audio" else rendering.events
        speech: Speech[Any] | None = await while_heard(
            request, studio.speak(asked.order(asked.input), make), limits.deadline
        )
        if speech is None:
            return Response(status_code=CLOSED)
        if asked.stream_format == "audio":
            return Spoken(
                speech, aiter(speech), FORMATS[asked.response_format].media_type, limits.deadline, studio
            )
        return Spoken(speech, _events(speech), "text/event-stream", limits.deadline, studio)

    return routes


class Spoken(StreamingResponse):
    """A speech sent as it is made; breaks it off when its listener leaves or takes too long."""

    def __init__(
        self,
        speech: Speech[Any],
        content: AsyncIterator[bytes],
        media_type: str,
        deadline: float,
        studio: Studio,
    ) -> None:
        headers = {
            "X-Speech-Id": speech.id,
            "X-Sample-Rate": str(studio.sample_rate),
            "Cache-Control": "no-store",
            **provenance.HEADERS,
        }
        super().__init__(content, headers=headers, media_type=media_type)
        self._speech, self._deadline = speech, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            logger.warning("%s was broken off: it was not heard within %g s", self._speech.id, self._deadline)
        except RosellaError as error:  # its listener sees that it ends too early
            logger.warning("%s broke off: %s", self._speech.id, error)
        finally:
            self._speech.close()


async def _events(speech: Speech[dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        async for event in speech:
            yield server_sent(event)
    except RosellaError as error:
        yield server_sent(fault(error))


async def while_heard(
    request: Request, work: Coroutine[Any, Any, Speech[T]], seconds: float
) -> Speech[T] | None:
    """The speech, or None where the client left before it began; Refusal after so many seconds."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and not gone.done():
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"Nothing was heard within {seconds:g} s: try again later."
            )
        return task.result() if task.done() else None
    finally:
        gone.cancel()
        if task.cancel():
            with suppress(asyncio.CancelledError, Refusal):
                (await task).close()  # it began at the last moment


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _require(asked: SpeechRequest, characters: int) -> None:
    """Refuses what no field alone can say."""
    if len(asked.input) > characters:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"The text has {len(asked.input)} characters and a request takes {characters}: send it in several.",
            param="input",
            code="string_above_max_length",
        )
    if asked.instructions:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            "The model takes no instructions: leave them out, and write how it is said into the text, as (laughs).",
            param="instructions",
        )
