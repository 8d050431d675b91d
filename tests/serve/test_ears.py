"""The embedded recogniser and speaker encoder at work, on synthetic speech."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mini.espeak import Espeak, Voice
from rosella.serve import faults, voices
from rosella.serve.consents import PHRASES
from rosella.serve.ears import Ears
from rosella.serve.settings import Limits
from rosella.speak import VoiceShelf
from serve.sounds import wav
from serve.test_voices import SPEAKER, consent, fault, voice

HIS, HERS = Voice("nl+m3", 155, 30), Voice("nl+f3", 155, 70)
SENTENCE = "De oude man koopt een rode appel op het station."


@pytest.fixture(scope="module")
def say():
    espeak = Espeak()
    espeak.say(".", HIS)
    return lambda text, who: wav(espeak.say(text, who))


def test_a_read_phrase_gives_leave_for_its_own_voice_alone(tmp_path, say):
    shelf, app = VoiceShelf(tmp_path / "shelf"), FastAPI()
    faults.install(app)
    app.include_router(voices.router(SPEAKER, shelf, Ears(), Limits()))
    client = TestClient(app)
    found = client.get("/v1/audio/voice_consents/phrases").json()["data"]
    assert [each["language"] for each in found] == ["en", "nl"]
    refused = fault(consent(client, language="nl", recording=say(SENTENCE, HIS)), 400)
    assert refused["code"] == "consent_phrase_not_heard" and "rode appel" in refused["message"]
    given = consent(client, language="nl", recording=say(PHRASES["nl"], HIS))
    assert given.status_code == 200, given.text
    leave = given.json()["id"]
    assert fault(voice(client, leave, sample=say(SENTENCE, HERS)), 400)["code"] == "speaker_mismatch"
    made = voice(client, leave, sample=say(SENTENCE, HIS))
    assert made.status_code == 200, made.text
    assert "rode appel" in shelf.get("anna").text.lower() and leave in made.json()["consent"]


def test_what_tells_no_voice_is_like_none():
    assert Ears().alike(np.zeros(32_000, np.float32), np.ones(32_000, np.float32)) == -1.0
