"""A WebSocket for a text that is still being written: it is spoken as its sentences end.

The client sends JSON: `{"type": "start", ...}` with the fields of a speech request but `input`, then
`{"type": "text", "text": "..."}` as often as it likes, and `{"type": "end"}`. It is sent the events of a speech.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal, NoReturn

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from rosella.errors import RosellaError, UserError
from rosella.serve.models import require_model
from rosella.serve.rendering import Rendering, fault
from rosella.serve.speech import Asked
from rosella.serve.studio import Studio
from rosella.speak import provenance
from rosella.web.faults import Refusal


class Start(Asked):
    type: Literal["start"]
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "pcm"


class Text(BaseModel):
    type: Literal["text"]
    text: str


class End(BaseModel):
    type: Literal["end"]


_MESSAGE: TypeAdapter[Start | Text | End] = TypeAdapter(
    Annotated[Start | Text | End, Field(discriminator="type")]
)


class Writing:
    """The fragments of a text, put in by the event loop and waited for by the thread that speaks them."""

    def __init__(self, silence: float, characters: int) -> None:
        self._silence, self._left = silence, characters
        self._fragments: queue.Queue[str | None] = queue.Queue()

    def write(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise UserError("The text is longer than a request may have: end it, and go on in another one.")
        self._fragments.put(text)

    def end(self) -> None:
        self._fragments.put(None)

    def __iter__(self) -> Iterator[str]:
        try:
            while (fragment := self._fragments.get(timeout=self._silence)) is not None:
                yield fragment
        except queue.Empty:
            raise UserError(
                f"Nothing was written for {self._silence:g} s: send text, or say that it has ended."
            ) from None


def router(studio: Studio) -> APIRouter:
    routes, limits = APIRouter(), studio.limits

    @routes.websocket("/v1/audio/speech/stream")
    async def speak(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            try:
                async with asyncio.timeout(limits.deadline):
                    await _converse(socket, studio)
            except TimeoutError:
                await socket.send_json(
                    fault(RosellaError(f"The speech took longer than {limits.deadline:g} s."))
                )
            except (RosellaError, Refusal) as error:
                await socket.send_json(fault(error))
            await socket.close()

    return routes


async def _converse(socket: WebSocket, studio: Studio) -> None:
    """Listens and speaks at once, until it is said or the client leaves, which breaks it off."""
    writing, start = Writing(studio.limits.silence, studio.limits.characters), await _read(socket)
    if not isinstance(start, Start):
        raise UserError('A speech begins with {"type": "start"}: send that first.')
    require_model(start.model, studio.name)
    speaking = asyncio.ensure_future(_speak(socket, studio, start, writing))
    listening = asyncio.ensure_future(_listen(socket, writing))
    try:
        done, _ = await asyncio.wait((speaking, listening), return_when=asyncio.FIRST_COMPLETED)
        (speaking if speaking in done else listening).result()
    finally:
        writing.end()
        listening.cancel()
        speaking.cancel()
        await asyncio.gather(speaking, listening, return_exceptions=True)


async def _listen(socket: WebSocket, writing: Writing) -> NoReturn:
    """Passes the text on; beyond its end, waits for the client to leave."""
    while True:
        message = await _read(socket)
        if isinstance(message, Start):
            raise UserError("The speech has begun: open another socket for another one.")
        if isinstance(message, Text):
            writing.write(message.text)
        else:
            writing.end()


async def _speak(socket: WebSocket, studio: Studio, start: Start, writing: Writing) -> None:
    speech = await studio.speak(
        start.order(writing), Rendering(start.response_format, provenance.marks(studio.name)).events
    )
    try:
        async for event in speech:
            await socket.send_json(event)
    finally:
        speech.close()


async def _read(socket: WebSocket) -> Start | Text | End:
    try:
        return _MESSAGE.validate_json(await socket.receive_text())
    except (ValidationError, KeyError):  # KeyError: bytes instead of text
        raise UserError(
            'A message is JSON, {"type": "start"}, {"type": "text", "text": "..."} or {"type": "end"}: correct it.'
        ) from None
