"""Recordings that are sent: what is heard in them, what is refused, and the embedded recogniser at work."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import BytesIO
from threading import Event

import numpy as np
import pytest
import soundfile

from mini.espeak import Espeak
from mini.espeak import Voice as Speaker
from rosella.serve.consents import PHRASES
from rosella.serve.ears import WAITING, Ears
from rosella.speak import VoiceShelf
from serve.hearing import CONSENTS, consent, fault, server, voice
from serve.sounds import coded, tone, wav

HIS, HERS = Speaker("nl+klatt3", 140, 50), Speaker("nl+f3", 155, 70)
SENTENCE = "De oude man koopt een rode appel op het station."


@pytest.mark.parametrize(
    ("container", "codec", "picture"),
    [("webm", "libopus", False), ("mp4", "aac", False), ("mp4", "aac", True), ("ogg", "libopus", False),
     ("mp3", "libmp3lame", False), ("flac", "flac", False), ("adts", "aac", False)],
)  # fmt: skip
def test_what_browsers_and_programs_record_is_heard(client, ears, container, codec, picture):
    sent = coded(tone(3.0), container, codec, picture)
    assert consent(client, recording=sent).status_code == 200
    assert abs(ears.asked[0][0] - 3.0) < 0.2


def huge() -> bytes:
    """Six hours of silence in less than a megabyte."""
    file = BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, "PCM_16", format="FLAC") as sound:
        for _ in range(6 * 60):
            sound.write(np.zeros(60 * 8000, np.int16))
    return file.getvalue()


BAD = {
    "nothing": (lambda: b"", "The recording is empty"),
    "noise": (lambda: bytes(range(256)) * 40, "not audio that can be decoded"),
    "playlist": (lambda: b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n", "not audio that can be decoded"),
    "concat": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "not audio that can be decoded"),
    "picture": (lambda: coded(np.zeros(0), "mp4", "aac", True), "no audio track"),
    "cut": (lambda: coded(tone(6.0), "flac", "flac")[:2000], "recording"),
    "header": (lambda: wav(tone())[:44], "no audio samples"),
    "rate": (lambda: wav(tone())[:24] + struct.pack("<II", 3_000_000, 6_000_000) + wav(tone())[32:], "Hz"),
    "nan": (lambda: wav(np.full(48_000, np.nan), subtype="FLOAT"), "holds NaN"),
    "short": (lambda: wav(tone(1.0)), "lasts 1.0 s and a voice takes 2 to 30 s"),
    "long": (huge, "lasts 21600.0 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_one_sentence(client, shelf, name):
    make, sentence = BAD[name]
    found = fault(consent(client, recording=make()), 400)
    assert sentence in found["message"] and (found["param"], found["code"]) == ("recording", "bad_audio")
    assert not shelf.folder.exists()


def test_silence_and_channels_that_cancel_each_other(client, shelf):
    leave = consent(client).json()["id"]
    found = fault(voice(client, leave, sample=wav(np.zeros(48_000)), text="Hi."), 400)
    assert "holds no sound" in found["message"] and found["param"] == "audio_sample"
    opposite = np.stack([tone(), -tone()], 1)
    assert voice(client, leave, sample=wav(opposite), text="Hi.").status_code == 200


def test_too_many_recordings_at_once_are_sent_away(shelf, ears):
    client, go_on, heard = server(shelf, ears), Event(), ears.write_down
    ears.write_down = lambda sound, language: go_on.wait(10) and heard(sound, language)
    with ThreadPoolExecutor(WAITING + 1) as pool:
        asked = [pool.submit(consent, client) for _ in range(WAITING + 1)]
        sent_away = next(as_completed(asked)).result()
        go_on.set()
    assert sent_away.headers["Retry-After"] == "5" and fault(sent_away, 429)["code"] == "busy"
    assert sorted(each.result().status_code for each in asked) == [200] * WAITING + [429]


@pytest.fixture(scope="module")
def say():
    espeak = Espeak()
    espeak.say(".", HIS)
    return lambda text, who: wav(espeak.say(text, who))


def test_a_read_phrase_gives_leave_for_its_own_voice_alone(tmp_path, say):
    shelf = VoiceShelf(tmp_path / "shelf")
    client = server(shelf, Ears())
    found = client.get(f"{CONSENTS}/phrases").json()["data"]
    assert [each["language"] for each in found] == ["en", "nl", "de"]
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
