"""Voices over HTTP: those that the model has of itself, and those saved by a consent; found by name, made, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, UploadFile

from rosella.errors import UserError
from rosella.serve import consents
from rosella.serve.consents import Consent, ConsentShelf, listed
from rosella.serve.ears import Ears, Sound, received
from rosella.serve.settings import Limits
from rosella.speak import SavedVoice, VoiceShelf, make_voice
from rosella.speak.clips import bytes_after, room_after
from rosella.speak.recital import Speaking
from rosella.speak.voices import is_name
from rosella.web.bodies import limited
from rosella.web.faults import Refusal, refusing

BUILT_IN = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
"""OpenAI's names: here the voices that the model makes up by itself, each by a seed of its own."""
LEAST_ALIKE = 0.8
"""Cosine of two recordings' voices from which on they count as one person's; docs/serving.md has the measurement."""
LICENCE = "as consented"
"""Of a voice that was made without naming one."""


def built_in_seed(name: str) -> int:
    """What a built-in voice is spoken with: a number that follows from its name, below 2 ** 31."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 1


def find(shelf: VoiceShelf, named: str) -> SavedVoice | int:
    """The voice of a name or id, or the seed of a built-in one; Refusal where there is none."""
    if named in BUILT_IN:
        return built_in_seed(named)
    _require_there(shelf, named)
    try:
        return shelf.get(named)
    except UserError as error:
        sentence = f"The voice {named} is damaged: delete it and make it again."
        raise Refusal(HTTPStatus.CONFLICT, sentence, param="voice", code="voice_damaged") from error


@dataclass(frozen=True)
class Made:
    """What is sent about a voice to make, beside its sample."""

    name: str
    text: str | None
    licence: str
    language: str


@dataclass(frozen=True)
class Voices:
    """What the routes do."""

    speaker: Speaking
    shelf: VoiceShelf
    consents: ConsentShelf
    ears: Ears
    limits: Limits
    writing: Lock = field(default_factory=Lock)

    def page(self) -> dict[str, Any]:
        """All that this model can speak in."""
        codec = self.speaker.codec.fingerprint
        saved = [_shown(name, voice) for name, voice in self._saved() if voice.codec.fingerprint == codec]
        return listed([*map(_built_in, BUILT_IN), *saved])

    def get(self, voice_id: str) -> dict[str, Any]:
        found = find(self.shelf, voice_id)
        return _built_in(voice_id) if isinstance(found, int) else _shown(voice_id, found)

    def create(
        self,
        name: Annotated[str, Form(max_length=100)],
        audio_sample: UploadFile,
        consent: Annotated[str, Form(max_length=100)],
        type: Annotated[Literal["audio_sample"], Form()] = "audio_sample",
        text: Annotated[str | None, Form(max_length=1000)] = None,
        licence: Annotated[str, Form(max_length=100)] = LICENCE,
        language: consents.MaybeLanguage = None,
    ) -> dict[str, Any]:
        """Save the sample as a voice, if it is that of who consented. What is said in it is heard unless `text` tells."""
        self._require_free(name)
        leave = self.consents.get(consent, "consent")
        asked = Made(name, text, licence, language or leave.language)
        with self.ears.turn(), received(audio_sample, "audio_sample") as sound:
            voice = self._voice(asked, sound, leave)
        with self.writing, refusing("name"):
            self._require_free(name)
            self.consents.get(consent, "consent")
            self.shelf.save(name, voice)
        return _shown(name, voice)

    def delete(self, voice_id: str) -> dict[str, Any]:
        if voice_id in BUILT_IN:
            sentence = f"{voice_id} is built in and stays: only voices that were made can be deleted."
            raise Refusal(HTTPStatus.FORBIDDEN, sentence, param="voice", code="voice_built_in")
        _require_there(self.shelf, voice_id)
        self.shelf.path(voice_id).unlink(missing_ok=True)
        return {"id": voice_id, "object": "audio.voice.deleted", "deleted": True}

    def made_by(self, consent: str) -> list[str]:
        """Names of the voices that a consent allows."""
        return [name for name, voice in self._saved() if consent in voice.consent]

    def _saved(self) -> Iterator[tuple[str, SavedVoice]]:
        for name in self.shelf.names():
            try:
                if name not in BUILT_IN:
                    yield name, self.shelf.get(name)
            except UserError:
                continue

    def _require_free(self, name: str) -> None:
        if not is_name(name):
            sentence = "A voice is called by up to 64 letters (a to z), digits, - and _: choose such a name."
            raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param="name")
        if name.lower() in BUILT_IN or name in self.shelf.names():
            sentence = f"There is a voice {name} already: choose another name, or delete that one."
            raise Refusal(HTTPStatus.CONFLICT, sentence, param="name", code="voice_exists")
        if len(self.shelf.names()) >= self.limits.voices:
            sentence = f"There are {self.limits.voices} voices already: delete one that is not needed."
            raise Refusal(HTTPStatus.CONFLICT, sentence, code="too_many_voices")

    def _voice(self, asked: Made, sound: Sound, leave: Consent) -> SavedVoice:
        if self.ears.alike(sound.wave, self.consents.recording(leave)) < LEAST_ALIKE:
            sentence = "The sample is not the voice that gave the consent: send one of the same person."
            raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param="audio_sample", code="speaker_mismatch")
        text = asked.text if asked.text is not None else self._heard(sound, asked.language)
        speaker, rate = self.speaker, self.speaker.codec.frame_rate
        with refusing("audio_sample"):
            clip = sound.voice(text, speaker.codec.sample_rate)
            voice = make_voice(
                clip, speaker.codec, licence=asked.licence, consent=_sentence(leave), language=asked.language
            )
            room_after(len(voice.codes), speaker.config, rate)
            bytes_after(voice.text, speaker.config.encoder.max_position_embeddings)
        return voice

    def _heard(self, sound: Sound, language: str) -> str:
        made = self.ears.write_down(sound, consents.primary(language))
        if made.doubt:
            sentence = f"The sample cannot be written down ({made.doubt}): send what is said in it as text."
            raise Refusal(HTTPStatus.BAD_REQUEST, sentence, param="text", code="transcript_needed")
        return made.text


def router(speaker: Speaking, shelf: VoiceShelf, ears: Ears, limits: Limits) -> APIRouter:
    """The routes below `/v1/audio/voices` and `/v1/audio/voice_consents`; consents lie in a folder of the shelf's."""
    kept = ConsentShelf(shelf.folder / "consents")
    voices = Voices(speaker, shelf, kept, ears, limits)
    api, one = APIRouter(route_class=limited(limits.recording)), "/v1/audio/voices/{voice_id}"
    api.get("/v1/audio/voices")(voices.page)
    api.post("/v1/audio/voices")(voices.create)
    api.get(one)(voices.get)
    api.delete(one)(voices.delete)
    consents.add_routes(api, consents.Consents(kept, ears, limits, voices.made_by, voices.writing))
    return api


def _require_there(shelf: VoiceShelf, named: str) -> None:
    if named not in shelf.names():
        sentence = "There is no such voice: name one of those in /v1/audio/voices."
        raise Refusal(HTTPStatus.NOT_FOUND, sentence, param="voice", code="voice_not_found")


def _built_in(name: str) -> dict[str, Any]:
    unknown: dict[str, Any] = dict.fromkeys(("seconds", "language", "licence", "consent"))
    return {**_titled(name), "type": "built_in", "created_at": 0, "built_in": True, **unknown}


def _shown(name: str, voice: SavedVoice) -> dict[str, Any]:
    return {
        **_titled(name),
        "type": "audio_sample",
        "created_at": int(voice.made.timestamp()),
        "built_in": False,
        "seconds": voice.seconds,
        "language": voice.language,
        "licence": voice.licence,
        "consent": voice.consent,
    }


def _titled(name: str) -> dict[str, Any]:
    return {"id": name, "object": "audio.voice", "name": name}


def _sentence(leave: Consent) -> str:
    """The consent as a voice carries it wherever it goes."""
    said = f"{leave.name} said on {leave.created_at:%Y-%m-%d} in {leave.language}: “{leave.phrase}”"
    return f"{said} (recording {leave.id})"
