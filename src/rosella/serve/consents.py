"""Consents to the making of a voice: a phrase, read aloud by whose voice it is, heard and kept.

Each is one FLAC file that any player plays; the rest of `Consent` is JSON in its comment.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Form, Query, UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from rosella.files import write_bytes
from rosella.serve.ears import RATE, Ears, received
from rosella.serve.settings import Limits
from rosella.web.faults import Refusal

PHRASES = {
    "en": "This is my own voice. Yes, I want people to hear me say things that I did not say.",
    "nl": "Dit is mijn eigen stem. Ja, jullie mogen deze stem gebruiken voor dingen die ik zelf niet zeg.",
    "de": "Das ist meine eigene Stimme. Ja, ihr dürft diese Stimme für Dinge verwenden, die ich selbst nicht sage.",
}
"""What is read aloud, by language."""
MOST_WRONG = 0.4
"""Share of the phrase's words that may be heard otherwise; docs/serving.md has the measurement."""

SUFFIX = ".consent.flac"
_ID = re.compile(r"cons_[0-9a-f]{24}")

Label = Annotated[str, Form(min_length=1, max_length=100)]
_TAG = Form(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", max_length=35)
Language = Annotated[str, _TAG]
MaybeLanguage = Annotated[str | None, _TAG]


class Consent(BaseModel):
    """Who (`name`) said what (`phrase`), in which language (BCP 47), when, and what the recogniser heard."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    language: str
    created_at: AwareDatetime
    phrase: str
    heard: str

    def shown(self) -> dict[str, Any]:
        """As OpenAI's clients read it, and what was said and heard."""
        about = self.model_dump(exclude={"created_at"})
        created = int(self.created_at.timestamp())
        return {**about, "object": "audio.voice_consent", "created_at": created}


class ConsentShelf:
    """Consents by id, each a file in `folder`; an id is made here, so it never is a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Consent]:
        """The newest first; what is damaged is left out."""
        found = [self._read(path) for path in self.folder.glob(f"*{SUFFIX}")]
        return sorted((c for c in found if c), key=lambda c: (c.created_at, c.id), reverse=True)

    def get(self, name: str, param: str | None = None) -> Consent:
        """Refusal where there is none."""
        found = self._read(self._path(name)) if _ID.fullmatch(name) else None
        if found is None:
            sentence = "There is no such consent: record one (POST /v1/audio/voice_consents), or list those there are."
            raise Refusal(HTTPStatus.NOT_FOUND, sentence, param=param, code="consent_not_found")
        return found

    def recording(self, consent: Consent) -> np.ndarray:
        """What was said, float32 `[samples]` at `RATE`."""
        import soundfile

        return soundfile.read(self._path(consent.id), dtype="float32")[0]

    def save(self, consent: Consent, wave: np.ndarray) -> None:
        """Write a consent, or write it anew, whole or not at all."""
        import soundfile

        encoded = BytesIO()
        with soundfile.SoundFile(encoded, "w", RATE, 1, "PCM_16", format="FLAC") as sound:
            sound.comment = consent.model_dump_json()
            sound.write(np.clip(wave, -1, 1))
        write_bytes(self._path(consent.id), encoded.getvalue())

    def remove(self, consent: Consent) -> None:
        self._path(consent.id).unlink(missing_ok=True)

    def _read(self, path: Path) -> Consent | None:
        import soundfile

        try:
            with soundfile.SoundFile(path) as sound:
                found = Consent.model_validate_json(sound.comment)
        except (soundfile.LibsndfileError, ValidationError):
            return None
        return found if self._path(found.id) == path else None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"


@dataclass(frozen=True)
class Consents:
    """What the routes do; `users` are the voices that were made by a consent's leave."""

    shelf: ConsentShelf
    ears: Ears
    limits: Limits
    users: Callable[[str], Sequence[str]]
    writing: Lock
    """Held while a voice is saved, a consent changed or deleted, so that no voice loses its consent."""

    def phrases(self, language: Annotated[str | None, Query(max_length=35)] = None) -> dict[str, Any]:
        """What to read aloud, in one language or in all that are understood."""
        with self.ears.turn():
            chosen = self._understood() if language is None else [self._phrase_in(language)]
        return {"object": "list", "data": [{"language": each, "phrase": PHRASES[each]} for each in chosen]}

    def create(self, name: Label, language: Language, recording: UploadFile) -> dict[str, Any]:
        require_line(name, "name")
        if len(self.shelf.all()) >= self.limits.consents:
            sentence = f"There are {self.limits.consents} consents already: delete one that no voice needs."
            raise Refusal(HTTPStatus.CONFLICT, sentence, code="too_many_consents")
        with self.ears.turn(), received(recording, "recording") as sound:
            spoken = self._phrase_in(language)
            heard = self.ears.write_down(sound, spoken).text
            _require_phrase(PHRASES[spoken], heard)
            consent = Consent(
                id=f"cons_{secrets.token_hex(12)}",
                name=name.strip(),
                language=language,
                created_at=datetime.now(UTC).replace(microsecond=0),
                phrase=PHRASES[spoken],
                heard=heard,
            )
            self.shelf.save(consent, sound.wave)
        return consent.shown()

    def page(
        self, limit: Annotated[int, Query(ge=1, le=100)] = 20, after: str | None = None
    ) -> dict[str, Any]:
        found = self.shelf.all()
        if after is not None:
            found = found[found.index(self.shelf.get(after, "after")) + 1 :]
        return listed([each.shown() for each in found[:limit]], more=len(found) > limit)

    def get(self, consent_id: str) -> dict[str, Any]:
        return self.shelf.get(consent_id).shown()

    def update(
        self, consent_id: str, name: Annotated[str, Body(embed=True, min_length=1, max_length=100)]
    ) -> dict[str, Any]:
        require_line(name, "name")
        with self.writing:
            consent = self.shelf.get(consent_id)
            renamed = consent.model_copy(update={"name": name.strip()})
            self.shelf.save(renamed, self.shelf.recording(consent))
        return renamed.shown()

    def delete(self, consent_id: str) -> dict[str, Any]:
        with self.writing:
            consent = self.shelf.get(consent_id)
            if users := self.users(consent.id):
                sentence = f"The voice {' and '.join(users)} is there by this consent: delete it first."
                raise Refusal(HTTPStatus.CONFLICT, sentence, code="consent_in_use")
            self.shelf.remove(consent)
        return {"id": consent.id, "object": "audio.voice_consent", "deleted": True}

    def _understood(self) -> list[str]:
        return [language for language in PHRASES if language in self.ears.languages()]

    def _phrase_in(self, language: str) -> str:
        """The language of the phrase for a tag such as `en-US`."""
        spoken, understood = primary(language), self._understood()
        if spoken not in understood:
            sentence = (
                f"A consent in {language} is not understood here: read it in {' or '.join(understood)}."
            )
            raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param="language", code="language_not_supported")
        return spoken


def add_routes(api: APIRouter, consents: Consents) -> None:
    """The routes below `/v1/audio/voice_consents`."""
    every, one = "/v1/audio/voice_consents", "/v1/audio/voice_consents/{consent_id}"
    api.post(every)(consents.create)
    api.get(every)(consents.page)
    api.get(f"{every}/phrases")(consents.phrases)
    api.get(one)(consents.get)
    api.post(one)(consents.update)
    api.delete(one)(consents.delete)


def primary(language: str) -> str:
    """The language of a tag such as `en-US`."""
    return language.split("-")[0].lower()


def listed(data: Sequence[dict[str, Any]], more: bool = False) -> dict[str, Any]:
    """A page of things with ids, as OpenAI's clients turn it."""
    first, last = (data[at]["id"] if data else None for at in (0, -1))
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}


def require_line(text: str, param: str) -> None:
    """Refusal for what is not one line that says something."""
    if not text.strip() or not text.isprintable():
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{param} is to be one line of text: correct it.", param=param)


def _require_phrase(phrase: str, heard: str) -> None:
    from rosella.evaluate.reading import errors_against

    errors = errors_against(phrase, heard)
    if errors.edits > MOST_WRONG * errors.length:
        sentence = f"The phrase was not heard: read aloud “{phrase}” (heard was “{heard}”)."
        raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param="recording", code="consent_phrase_not_heard")
