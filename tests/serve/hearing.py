"""What the tests of voices share: a server that hears what it is told to, and how it is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rosella.evaluate.reading import Dictation
from rosella.serve import speech, voices
from rosella.serve.consents import PHRASES
from rosella.serve.ears import Ears
from rosella.serve.settings import Limits
from rosella.speak import VoiceShelf
from rosella.web.faults import install
from serve.sounds import RATE, tone, wav

URL, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"


class Codec:
    """Every frame is 320 samples, counted up."""

    sample_rate, frame_rate, num_codebooks, codebook_size, fingerprint = RATE, 50.0, 2, 16, "tiny"

    def encode(self, waveforms):
        return [np.stack([np.arange(len(w) // 320) % 16] * 2, 1).astype(np.uint16) for w in waveforms]


SPEAKER: Any = SimpleNamespace(
    codec=Codec(),
    config=SimpleNamespace(
        room=lambda frames=0: 1000 - frames, encoder=SimpleNamespace(max_position_embeddings=512)
    ),
)


class Heard(Ears):
    """Hears what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.doubt, self.likeness, self.asked = PHRASES["en"], None, 1.0, []

    def languages(self):
        return {"en", "nl"}

    def write_down(self, sound, language):
        self.asked.append((round(sound.seconds, 2), language))
        return Dictation(self.said, self.doubt)

    def alike(self, one, other):
        assert one.dtype == other.dtype == np.float32 and min(len(one), len(other)) >= 2 * RATE
        return self.likeness


def server(shelf: VoiceShelf, ears: Ears, limits: Limits = Limits()) -> TestClient:
    """A client of the routes of voices and consents alone."""
    app = FastAPI()
    install(app, speech.PURPOSE)
    app.include_router(voices.router(SPEAKER, shelf, ears, limits))
    return TestClient(app)


def consent(client, name="Anna", language="en-US", recording=None, **sent):
    """What the server answers to a recording of the phrase."""
    file = wav(tone()) if recording is None else recording
    return client.post(
        CONSENTS, data={"name": name, "language": language}, files={"recording": ("a", file)}, **sent
    )


def voice(client, leave, name="anna", sample=None, **data):
    file = wav(tone(2.5)) if sample is None else sample
    data = {"name": name, "consent": leave, **data}
    return client.post(URL, data=data, files={"audio_sample": ("a", file)})


def fault(answer, status) -> dict:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert "\n" not in error["message"] and "/tmp" not in error["message"]
    return error
