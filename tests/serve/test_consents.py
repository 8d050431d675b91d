"""Consents over HTTP: read aloud, heard, kept, refused."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from rosella.serve.consents import PHRASES
from rosella.speak import VoiceShelf
from serve.hearing import CONSENTS, Heard, consent, fault, server
from serve.sounds import RATE, tone, wav
from support import fill


def test_a_consent_is_one_file_that_any_player_plays_and_says_what_was_heard(client, shelf, ears):
    ears.said = PHRASES["nl"].upper().replace("EIGEN ", "")
    made = consent(client, "Anna", "nl").json()
    (path,) = (shelf.folder / "consents").iterdir()
    assert path.name == f"{made['id']}.consent.flac"
    wave, rate = soundfile.read(path)
    assert rate == RATE and np.allclose(wave, tone(), atol=1e-3)
    assert (made["phrase"], made["heard"]) == (PHRASES["nl"], ears.said)
    assert client.get(f"{CONSENTS}/{made['id']}").json() == made
    path.write_bytes(path.read_bytes()[:50])
    (shelf.folder / "consents" / "cons_x.consent.flac").write_bytes(wav(tone()))
    assert client.get(CONSENTS).json()["data"] == [] and fault(client.get(f"{CONSENTS}/{made['id']}"), 404)


def test_a_phrase_that_was_not_read_is_refused_with_what_was_heard(client, shelf, ears):
    ears.said = "[S1] This is my own bread. Yes, you may eat it all."
    found = fault(consent(client), 400)
    assert PHRASES["en"] in found["message"] and "you may eat it all" in found["message"]
    assert (found["param"], found["code"]) == ("recording", "consent_phrase_not_heard")
    assert not shelf.folder.exists()
    ears.said = ""
    assert fault(consent(client), 400)["code"] == "consent_phrase_not_heard"


def test_the_phrases_are_those_that_the_server_understands(client):
    found = client.get(f"{CONSENTS}/phrases").json()["data"]
    assert [each["language"] for each in found] == ["en", "nl"] and found[1]["phrase"] == PHRASES["nl"]
    found = client.get(f"{CONSENTS}/phrases", params={"language": "nl-BE"}).json()["data"]
    assert found == [{"language": "nl", "phrase": PHRASES["nl"]}]
    for language in ("de", "fy", "x" * 30):
        answer = client.get(f"{CONSENTS}/phrases", params={"language": language})
        assert "read it in en or nl" in fault(answer, 400)["message"]
        assert fault(consent(client, language=language[:8]), 400)["param"] == "language"


@pytest.mark.parametrize(
    ("data", "files", "param"),
    [
        ({}, {}, "name"),
        ({"name": "a", "language": "en"}, {}, "recording"),
        ({"name": "a", "language": "en", "recording": "/etc/passwd"}, {}, "recording"),
        ({"name": " ", "language": "en"}, {"recording": ("a", b"x")}, "name"),
        ({"name": "a\x1b[2J", "language": "en"}, {"recording": ("a", b"x")}, "name"),
        ({"name": "a" * 101, "language": "en"}, {"recording": ("a", b"x")}, "name"),
        ({"name": "a", "language": "../en"}, {"recording": ("a", b"x")}, "language"),
    ],
)
def test_fields_that_cannot_be_used_are_named(client, data, files, param):
    assert fault(client.post(CONSENTS, data=data, files=files), 400)["param"] == param


def test_a_full_disk_keeps_nothing(small_disk):
    shelf = VoiceShelf(small_disk / "shelf")
    shelf.folder.mkdir()
    fill(small_disk)
    assert fault(consent(server(shelf, Heard())), 507)["code"] == "disk_full"
    assert list((shelf.folder / "consents").iterdir()) == []
