"""A stand-in for the server of `rosella annotate`: its routes over clips in memory, and the ways in which servers fail."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import re
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RATE = 24_000
PEAKS = 100
MARGIN = 1.5
"""Seconds of sound around a clip."""
PASSWORD = "a long password"
NAMES = ("S1", "S2")

State = dict[str, Any]


class Refused(Exception):
    """Ends a request with a status and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str, **more: Any) -> None:
        super().__init__(sentence)
        self.status, self.more = status, more


def turn(start: float, end: float, speaker: str, text: str, clean: str | None = None) -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "speaker": speaker,
        "text": text,
        "text_clean": clean,
        "overlap": False,
    }


def state(*turns: dict[str, Any]) -> State:
    span = {"start": turns[0]["start"], "end": turns[-1]["end"]}
    return {**span, "turns": list(turns), "verdict": None, "reason": None, "comment": None}


@dataclass
class FakeClip:
    """A clip of a recording, and what was done to it."""

    id: str
    draft: State
    recording: str = "talk"
    empty: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.rows[-1]["after"] if self.rows else self.draft


def clips() -> list[FakeClip]:
    """Four of one recording, in the order of the queue; the third is so bad that its boxes begin empty."""
    return [
        FakeClip(
            "one",
            state(
                turn(2.0, 4.0, "S1", "Uh ik was gisteren op de market.", "Ik was gisteren op de market."),
                turn(4.0, 5.5, "S2", "(laughs) Echt waar?", "Echt waar?"),
            ),
        ),
        FakeClip("two", state(turn(6.0, 7.5, "S1", "Ja, op de market."), turn(7.6, 8.4, "S2", "Nou zeg."))),
        FakeClip("three", state(turn(9.0, 10.5, "S2", "Zeer slecht gehoord")), empty=True),
        FakeClip("four", state(turn(11.0, 12.0, "S1", "Tot ziens."))),
    ]


@dataclass
class Fake:
    """What the server shall do, and what it was asked."""

    clips: dict[str, FakeClip] = field(default_factory=lambda: {clip.id: clip for clip in clips()})
    name: str = "local"
    local: bool = True
    role: str = "owner"
    logged_in: bool = True
    breaks: int = 0
    """Answers 500 to so many saves."""
    cuts: int = 0
    """Ends so many connections before a save is done."""
    loses: int = 0
    """Ends so many connections after a save is done, so that the browser never hears of it."""
    delay: float = 0.0
    """Seconds that each save takes."""
    refuses: str | None = None
    """A sentence by which every save is refused."""
    csrf: str = "token"
    asked: list[str] = field(default_factory=list)
    keys: dict[str, list[Message]] = field(default_factory=dict)
    """What each idempotency key was answered."""
    numbers: int = 0
    listeners: list[tuple[str, asyncio.Queue[tuple[str, Any]]]] = field(default_factory=list)
    offers: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=lambda: {"local": "owner"})

    def row(
        self, clip: FakeClip, after: State, action: str, author: str, batch: str | None = None
    ) -> dict[str, Any]:
        """A correction at the end of a clip."""
        self.numbers += 1
        row = {"number": self.numbers, "action": action, "author": author, "at": time.time(), "batch": batch}
        row |= {"version": len(clip.rows), "before": clip.state, "after": copy.deepcopy(after)}
        clip.rows.append(row)
        told = {"clip": clip.id, "version": len(clip.rows), "author": author}
        for listened, queue in self.listeners:
            if listened == clip.id:
                queue.put_nowait(("changed", told))
        return row

    def somebody(self, clip_id: str, index: int, text: str, author: str = "Anna") -> None:
        """Another person corrects a turn."""
        clip = self.clips[clip_id]
        after = copy.deepcopy(clip.state)
        after["turns"][index]["text"] = text
        self.row(clip, after, "edit", author)

    def view(self, clip: FakeClip) -> dict[str, Any]:
        shown = ("number", "action", "author", "at", "version", "batch")
        now = clip.state
        audio = {"start": now["start"] - MARGIN, "end": now["end"] + MARGIN}
        url = f"/api/clips/{clip.id}/audio?version={len(clip.rows)}"
        spoken = dict.fromkeys([*NAMES, *(said["speaker"] for said in now["turns"])])
        renamed = {
            name
            for other in self.clips.values()
            for said in other.state["turns"]
            for name in [said["speaker"]]
        }
        return {
            "id": clip.id,
            "recording": clip.recording,
            "title": f"A talk, clip {clip.id}",
            "show": "Talks",
            "language": "nl",
            "version": len(clip.rows),
            "state": now,
            "draft": clip.draft,
            "source": "model",
            "confidence": -0.3,
            "empty": clip.empty,
            "speakers": [name for name in spoken if name in renamed] + sorted(renamed - set(spoken)),
            "limits": {"start": now["start"] - 0.4, "end": now["end"] + 0.4},
            "audio": audio | {"url": url, "peaks_url": f"/api/clips/{clip.id}/peaks"},
            "expected": {"errors": 2.4, "seconds": 14.0},
            "why": ["The recogniser was unsure.", "The two transcripts differ."],
            "people": [],
            "history": [{name: row[name] for name in shown} for row in clip.rows],
        }

    def clip(self, clip_id: str) -> FakeClip:
        if clip_id not in self.clips:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such clip any more.")
        return self.clips[clip_id]


def sound(start: float, end: float) -> np.ndarray:
    """A hum int16 [samples], louder and softer, of a span in seconds."""
    times = np.arange(round(start * RATE), round(end * RATE)) / RATE
    loud = 0.25 + 0.2 * np.sin(2 * np.pi * 1.7 * times) + 0.1 * np.sin(2 * np.pi * 0.31 * times)
    return (loud * np.sin(2 * np.pi * 180 * times) * 12000).astype(np.int16)


def app(fake: Fake) -> FastAPI:
    """All routes that the page uses, but for its own."""
    application = FastAPI()
    _install(application, fake)
    _clips(application, fake)
    _project(application, fake)
    _people(application, fake)
    return application


def _install(application: FastAPI, fake: Fake) -> None:
    @application.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"error": {"message": str(error)}, **error.more}, error.status)

    application.add_middleware(Guard, fake=fake)


class Guard:
    """Lets in who is logged in, and makes each change once for its key, on a server that may fail."""

    def __init__(self, app: ASGIApp, fake: Fake) -> None:
        self.app, self.fake = app, fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        self.fake.asked.append(f"{request.method} {request.url.path}")
        if answer := self._refusal(request) or await self._failure(request):
            await answer(scope, receive, send)
        elif key := request.headers.get("Idempotency-Key"):
            await self._once(key, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if not path.startswith("/api") or path == "/api/login" or path.startswith("/api/invitations/"):
            return None
        if not self.fake.logged_in:
            return _told(HTTPStatus.UNAUTHORIZED, "Log in first.")
        if request.method != "GET" and request.headers.get("X-CSRF-Token") != self.fake.csrf:
            return _told(HTTPStatus.FORBIDDEN, "Load the page again.")
        return None

    async def _failure(self, request: Request) -> Response | None:
        fake = self.fake
        if "Idempotency-Key" not in request.headers:
            return None
        await asyncio.sleep(fake.delay)
        if fake.breaks:
            fake.breaks -= 1
            return _told(HTTPStatus.INTERNAL_SERVER_ERROR, "The server broke down.")
        if fake.cuts:
            fake.cuts -= 1
            return _torn()
        return _told(HTTPStatus.BAD_REQUEST, fake.refuses) if fake.refuses else None

    async def _once(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        told: list[Message] = self.fake.keys.get(key, [])
        if not told:

            async def hear(message: Message) -> None:
                told.append(message)

            await self.app(scope, receive, hear)
            if told[0]["status"] == HTTPStatus.OK:
                self.fake.keys[key] = told
        if self.fake.loses:
            self.fake.loses -= 1
            await _torn()(scope, receive, send)
            return
        for message in told:
            await send(message)


def _told(status: HTTPStatus, sentence: str) -> Response:
    return JSONResponse({"error": {"message": sentence}}, status)


def _torn() -> Response:
    """An answer that ends before it was said."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b"{"

    return StreamingResponse(nothing(), headers={"Content-Length": "1000"}, media_type="application/json")


def _clips(application: FastAPI, fake: Fake) -> None:
    @application.post("/api/next")
    async def next_clip(asked: dict[str, Any]) -> Response:
        order = list(fake.clips)
        after = asked.get("after")
        start = order.index(after) + 1 if after in order else 0
        for clip_id in order[start:] + order[:start]:
            if clip_id != after and fake.clips[clip_id].state["verdict"] is None:
                return JSONResponse(fake.view(fake.clips[clip_id]))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @application.get("/api/clips/{clip_id}")
    async def read(clip_id: str) -> dict[str, Any]:
        return fake.view(fake.clip(clip_id))

    @application.get("/api/clips/{clip_id}/audio")
    async def audio(clip_id: str) -> Response:
        span = fake.view(fake.clip(clip_id))["audio"]
        file = io.BytesIO()
        with wave.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(RATE)
            written.writeframes(sound(span["start"], span["end"]).tobytes())
        return Response(file.getvalue(), media_type="audio/wav")

    @application.get("/api/clips/{clip_id}/peaks")
    async def peaks(clip_id: str) -> dict[str, Any]:
        span = fake.view(fake.clip(clip_id))["audio"]
        samples = sound(span["start"], span["end"]) / 32768
        pieces = np.array_split(samples, round((span["end"] - span["start"]) * PEAKS))
        heights = [[round(float(piece.min()), 3), round(float(piece.max()), 3)] for piece in pieces]
        return {"start": span["start"], "end": span["end"], "rate": PEAKS, "peaks": heights}

    @application.put("/api/clips/{clip_id}")
    async def save(clip_id: str, asked: dict[str, Any]) -> dict[str, Any]:
        clip = fake.clip(clip_id)
        if asked["version"] != len(clip.rows):
            message = "Somebody else saved this clip meanwhile."
            raise Refused(HTTPStatus.CONFLICT, message, current=fake.view(clip))
        fake.row(clip, asked["state"], asked["action"], fake.name)
        return fake.view(clip)

    @application.get("/api/events")
    async def events(clip: str) -> StreamingResponse:
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        fake.listeners.append((clip, queue))

        async def told() -> AsyncIterator[str]:
            yield ": here\n\n"
            while True:
                name, data = await queue.get()
                yield f"event: {name}\ndata: {json.dumps(data)}\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    @application.post("/api/check")
    async def check(asked: dict[str, Any]) -> dict[str, Any]:
        message = "The speaker tag [S5] is unknown; use one of [S1], [S2], [S3], [S4]."
        wrong = [
            {"turn": number, "field": name, "message": message}
            for number, said in enumerate(asked["turns"])
            for name in ("text", "text_clean")
            if "[S5]" in (said[name] or "")
        ]
        return {"faults": wrong}

    @application.get("/api/suggestions")
    async def suggestions(clip: str) -> list[dict[str, Any]]:
        return fake.offers if fake.clip(clip) else []


def _project(application: FastAPI, fake: Fake) -> None:
    @application.post("/api/corrections/{number}/undo")
    async def undo(number: int) -> dict[str, Any]:
        for clip in fake.clips.values():
            for row in clip.rows:
                if row["number"] == number:
                    fake.row(clip, row["before"], "undo", fake.name)
                    return {"clips": [fake.view(clip)]}
        return {"clips": []}

    @application.post("/api/batches/{batch}/undo")
    async def undo_batch(batch: str) -> dict[str, int]:
        touched = [clip for clip in fake.clips.values() if any(row["batch"] == batch for row in clip.rows)]
        whole = [clip for clip in touched if clip.rows[-1]["batch"] == batch]
        for clip in whole:
            fake.row(clip, clip.rows[-1]["before"], "undo", fake.name)
        return {"clips": len(whole), "left": len(touched) - len(whole)}

    @application.get("/api/recordings/{recording}/speakers")
    async def speakers(recording: str) -> dict[str, Any]:
        said = [said for clip in fake.clips.values() for said in clip.state["turns"]]
        counts = Counter(each["speaker"] for each in said)
        lasting = {name: sum(t["end"] - t["start"] for t in said if t["speaker"] == name) for name in counts}
        return {
            "speakers": [{"name": n, "seconds": lasting[n], "turns": c} for n, c in sorted(counts.items())]
        }

    @application.post("/api/recordings/{recording}/speakers")
    async def rename(recording: str, asked: dict[str, str]) -> dict[str, Any]:
        fake.numbers += 1
        for clip in fake.clips.values():
            for known in [clip.draft, *(row["after"] for row in clip.rows)]:
                for said in known["turns"]:
                    if said["speaker"] == asked["before"]:
                        said["speaker"] = asked["after"]
        return {"number": fake.numbers, "speakers": (await speakers(recording))["speakers"]}

    @application.get("/api/search")
    async def search(text: str, speaker: str = "", whole: int = 0, case: int = 0) -> dict[str, Any]:
        pattern = _pattern(text, whole, case)
        found = [
            {"clip": clip.id, "recording": clip.recording, "turn": number, **said}
            for clip in fake.clips.values()
            for number, said in enumerate(clip.state["turns"])
            if pattern.search(said["text"]) and speaker in ("", said["speaker"])
        ]
        return {"found": found, "total": len(found)}

    @application.post("/api/replace")
    async def replace(asked: dict[str, Any]) -> dict[str, Any]:
        pattern = _pattern(asked["find"], asked["whole"], asked["case"])
        changed = 0
        for clip in fake.clips.values():
            after = copy.deepcopy(clip.state)
            for said in after["turns"]:
                said["text"] = pattern.sub(asked["replace"], said["text"])
            if after != clip.state:
                changed += 1
                fake.row(clip, after, "replace", fake.name, "batch")
        return {"changed": changed, "left": 0, "batch": "batch"}

    @application.get("/api/progress")
    async def progress() -> dict[str, Any]:
        who = {"name": "Anna", "clips": 12, "hours": 0.4, "seconds_per_clip": 9.5, "seconds_per_second": 1.3}
        return {
            "hours": {"done": 0.4, "left": 1.6, "all": 2.0},
            "people": [who],
            "agreement": {"pairs": 3, "word_agreement": 0.957, "speakers": 1.0},
            "kinds": {"substituted": 31, "inserted": 4, "deleted": 9, "speaker": 2, "times": 5},
            "errors_per_hour": 128.0,
            "hours_left_of_work": 2.3,
        }


def _pattern(text: str, whole: Any, case: Any) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(text)}\b" if whole else re.escape(text), 0 if case else re.IGNORECASE)


def _people(application: FastAPI, fake: Fake) -> None:
    @application.get("/api/me")
    async def me() -> dict[str, Any]:
        told = {
            "name": fake.name,
            "role": fake.role,
            "csrf": fake.csrf,
            "local": fake.local,
            "corpus": "talks",
        }
        return told | {"events": ["(laughs)", "(sighs)", "(coughs)"], "fillers": {"nl": ["uh", "ehm", "hm"]}}

    @application.post("/api/login")
    async def login(asked: dict[str, str]) -> dict[str, str]:
        if asked["password"] != PASSWORD:
            raise Refused(HTTPStatus.UNAUTHORIZED, "Name and password do not belong together.")
        fake.logged_in, fake.local, fake.name = True, False, asked["name"]
        return {"name": fake.name}

    @application.post("/api/logout")
    async def logout() -> dict[str, str]:
        fake.logged_in = False
        return {}

    @application.get("/api/invitations/{token}")
    async def invitation(token: str) -> dict[str, Any]:
        if token not in ("welcome", "again"):
            raise Refused(HTTPStatus.NOT_FOUND, "This invitation is used up; ask for a new one.")
        return {"role": "annotator", "person": "Dirk" if token == "again" else None}

    @application.post("/api/invitations/{token}")
    async def join(token: str, asked: dict[str, str]) -> dict[str, str]:
        fake.logged_in, fake.local, fake.name, fake.role = True, False, asked["name"], "annotator"
        return {"name": fake.name}

    @application.post("/api/invitations")
    async def invite(asked: dict[str, str]) -> dict[str, str]:
        return {"url": f"/#invitation/welcome-{asked['role']}"}

    @application.post("/api/people/{name}/invitations")
    async def let_in_again(name: str) -> dict[str, str]:
        return {"url": f"/#invitation/again-{name}"}

    @application.get("/api/people")
    async def people() -> dict[str, Any]:
        return {"people": [{"name": name, "role": role} for name, role in fake.people.items()]}

    @application.delete("/api/people/{name}")
    async def dismiss(name: str) -> dict[str, str]:
        del fake.people[name]
        return {}
