"""Voices and consents over HTTP: made, found, refused, deleted; by a plain client and by OpenAI's own."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Event
from types import SimpleNamespace

import numpy as np
import openai
import pytest
import soundfile
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rosella.evaluate.reading import Dictation
from rosella.serve import faults, voices
from rosella.serve.consents import PHRASES
from rosella.serve.ears import WAITING, Ears
from rosella.serve.faults import Refusal
from rosella.serve.settings import Limits
from rosella.speak import Voice, VoiceShelf, make_voice
from serve.sounds import RATE, coded, tone, wav

URL, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"


class Codec:
    """Every frame is 320 samples, counted up."""

    sample_rate, frame_rate, num_codebooks, codebook_size, fingerprint = RATE, 50.0, 2, 16, "tiny"

    def encode(self, waveforms):
        return [np.stack([np.arange(len(w) // 320) % 16] * 2, 1).astype(np.uint16) for w in waveforms]


SPEAKER = SimpleNamespace(
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


@pytest.fixture
def ears():
    return Heard()


@pytest.fixture
def shelf(tmp_path):
    return VoiceShelf(tmp_path / "shelf")


@pytest.fixture
def client(shelf, ears):
    app = FastAPI()
    faults.install(app)
    app.include_router(voices.router(SPEAKER, shelf, ears, Limits(voices=3, consents=3)))
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


def test_openais_client_makes_lists_renames_and_deletes(client, shelf, ears):
    api = openai.OpenAI(api_key="x", base_url="http://testserver/v1", http_client=client, max_retries=0)
    made = api.audio.voice_consents.create(
        name="Anna", language="en-US", recording=("a.wav", wav(tone()), "audio/wav")
    )
    assert (made.object, made.name, made.language) == ("audio.voice_consent", "Anna", "en-US")
    assert api.audio.voice_consents.retrieve(made.id) == made
    assert api.audio.voice_consents.update(made.id, name="Anna B.").name == "Anna B."
    other = api.audio.voice_consents.create(name="Bram", language="en", recording=wav(tone()))
    assert {each.id for each in api.audio.voice_consents.list(limit=1)} == {made.id, other.id}  # two pages
    ears.said = "[S1] Bread and cheese."
    anna = api.audio.voices.create(name="anna", audio_sample=("a.wav", wav(tone(2.5))), consent=made.id)
    assert (anna.id, anna.object, anna.name, anna.type) == ("anna", "audio.voice", "anna", "audio_sample")
    said = shelf.get("anna")
    assert said.text == "[S1] Bread and cheese." and said.language == "en-US" and said.seconds == 2.5
    assert made.id in said.consent and PHRASES["en"] in said.consent and "Anna B. said on 20" in said.consent
    assert ears.asked == [(3.0, "en"), (3.0, "en"), (2.5, "en")]
    with pytest.raises(openai.ConflictError, match="The voice anna is there by this consent"):
        api.audio.voice_consents.delete(made.id)
    gone = api.audio.voices.delete("anna")
    assert (gone.id, gone.deleted, gone.object) == ("anna", True, "audio.voice.deleted")
    gone = api.audio.voice_consents.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "audio.voice_consent")
    for call in (lambda: api.audio.voices.delete("anna"), lambda: api.audio.voice_consents.retrieve(made.id)):
        with pytest.raises(openai.NotFoundError):
            call()


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


def test_the_list_has_the_built_in_voices_and_those_of_this_model(client, shelf, ears):
    leave = consent(client).json()["id"]
    assert voice(client, leave, "anna", text="Hi.", licence="CC0-1.0", language="nl").status_code == 200
    other = Codec()
    other.fingerprint = "other"
    shelf.save("bram", make_voice(Voice(tone(), RATE, "Hi."), other, licence="x", consent="y"))
    (shelf.folder / "carla.voice.safetensors").write_bytes(b"x")
    page = client.get(URL).json()
    assert [each["id"] for each in page["data"]] == [*voices.BUILT_IN, "anna"]
    assert (page["object"], page["has_more"], page["first_id"], page["last_id"]) == (
        "list", False, "alloy", "anna",
    )  # fmt: skip
    assert page["data"][0]["built_in"] and not page["data"][-1]["built_in"]
    anna = client.get(f"{URL}/anna").json()
    assert anna == page["data"][-1]
    assert (anna["seconds"], anna["licence"], anna["language"]) == (2.5, "CC0-1.0", "nl")
    assert client.get(f"{URL}/alloy").json() == page["data"][0]
    assert fault(client.get(f"{URL}/carla"), 409)["code"] == "voice_damaged"
    assert client.delete(f"{URL}/carla").status_code == 200 and "carla" not in shelf.names()


def test_a_voice_is_found_by_its_name_and_a_built_in_one_is_its_seed(client, shelf):
    voice(client, consent(client).json()["id"], text="Hi.")
    found = voices.find(shelf, "anna")
    assert not isinstance(found, int) and found.text == "[S1] Hi."
    seeds = [voices.find(shelf, name) for name in voices.BUILT_IN]
    assert len(set(seeds)) == 13 and all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
    assert seeds[0] == 854387554  # as ever: a name keeps its voice
    for name in ("bram", "", "Alloy", "../anna", "anna.voice.safetensors", "a\0", "http://x/y"):
        with pytest.raises(Refusal) as refused:
            voices.find(shelf, name)
        assert (refused.value.status, refused.value.param) == (HTTPStatus.NOT_FOUND, "voice")
        assert refused.value.code == "voice_not_found"


@pytest.mark.parametrize("name", ["../anna", "a/b", "", "é", "a b", "a" * 65, "a\n", "."])
def test_no_name_is_a_path(client, shelf, name):
    leave = consent(client).json()["id"]
    assert fault(voice(client, leave, name, text="Hi."), 400)["param"] == "name"
    assert shelf.names() == [] and [each.name for each in shelf.folder.parent.iterdir()] == ["shelf"]


@pytest.mark.parametrize("id", ["..", "%2e%2e", "cons_", "..%2Fanna", "cons_" + "0" * 24, "%00"])
def test_no_id_is_a_path(client, id):
    for address in (f"{CONSENTS}/{id}", f"{URL}/{id}"):
        for answer in (client.get(address), client.delete(address)):
            assert answer.status_code in (404, 405) and answer.json()["error"]["message"]
    assert fault(voice(client, id, text="Hi."), 404)["code"] == "consent_not_found"


def test_names_that_are_taken_or_built_in_stay_as_they_are(client, shelf):
    leave = consent(client).json()["id"]
    assert voice(client, leave, text="Hi.").status_code == 200
    before = shelf.path("anna").read_bytes()
    for name in ("anna", "alloy", "Alloy"):
        assert fault(voice(client, leave, name, text="Ho."), 409)["code"] == "voice_exists"
    assert shelf.path("anna").read_bytes() == before
    assert fault(client.delete(f"{URL}/alloy"), 403)["code"] == "voice_built_in"


def test_there_are_so_many_voices_and_consents(client):
    leave, *_ = [consent(client).json()["id"] for _ in range(3)]
    assert fault(consent(client), 409)["code"] == "too_many_consents"
    assert [voice(client, leave, f"v{n}", text="Hi.").status_code for n in range(3)] == [200] * 3
    assert fault(voice(client, leave, "v4", text="Hi."), 409)["code"] == "too_many_voices"


@pytest.mark.parametrize(
    ("changes", "data", "code", "sentence"),
    [
        ({"likeness": 0.2}, {}, "speaker_mismatch", "not the voice that gave the consent"),
        ({"doubt": "it only guesses 'x'"}, {}, "transcript_needed", "send what is said in it as text"),
        ({}, {"text": "[S1] a [S2] b"}, None, "give a clip of one alone"),
        ({}, {"text": " "}, None, "text is empty"),
        ({}, {"text": "a" * 600}, None, "transcript of the voice has 602 bytes"),
        ({}, {"text": "Hi.", "licence": " "}, None, "only with a licence"),
        ({}, {"text": "Hi.", "type": "prompt"}, None, "type cannot be used"),
        ({}, {"text": "Hi.", "language": "n\nl"}, None, "language cannot be used"),
    ],
)
def test_a_sample_that_may_not_be_a_voice_is_refused(client, shelf, ears, changes, data, code, sentence):
    leave = consent(client).json()["id"]
    vars(ears).update(changes)
    found = fault(voice(client, leave, **data), 400)
    assert found["code"] == code and sentence in found["message"] and shelf.names() == []


def test_a_clip_that_leaves_the_model_no_room_is_refused(client):
    leave = consent(client).json()["id"]
    found = fault(voice(client, leave, sample=wav(tone(21.0)), text="Hi."), 400)
    assert "the model holds 20.0 s" in found["message"]


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
    from io import BytesIO

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


def test_a_body_that_is_too_long_is_refused_before_it_is_held(client, shelf):
    too_long = bytes(11 << 20)
    assert fault(consent(client, recording=too_long), 413)["code"] == "body_too_large"

    def unannounced():
        yield b'--x\r\nContent-Disposition: form-data; name="recording"; filename="a"\r\n\r\n'
        for _ in range(11):
            yield bytes(1 << 20)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(CONSENTS, content=unannounced(), headers=kind)
    assert fault(answer, 413)["code"] == "body_too_large" and not shelf.folder.exists()


def test_too_many_recordings_at_once_are_sent_away(client, ears):
    go_on, heard = Event(), ears.write_down
    ears.write_down = lambda sound, language: go_on.wait(60) and heard(sound, language)
    with ThreadPoolExecutor(WAITING + 1) as pool:
        answers = [pool.submit(consent, client) for _ in range(WAITING + 1)]
        while not any(each.done() for each in answers):
            pass
        go_on.set()
        statuses = sorted(each.result().status_code for each in answers)
    assert (statuses[-1] == 429 and 409 in statuses) or statuses.count(200) == WAITING
    sent_away = next(each.result() for each in answers if each.result().status_code == 429)
    assert sent_away.headers["Retry-After"] == "5" and fault(sent_away, 429)["code"] == "busy"


def test_a_full_disk_keeps_nothing(client, shelf, small_disk):
    from support import fill

    shelf.folder = small_disk / "shelf"
    shelf.folder.mkdir()
    app = FastAPI()
    faults.install(app)
    app.include_router(voices.router(SPEAKER, shelf, Heard(), Limits()))
    fill(small_disk)
    assert fault(consent(TestClient(app)), 507)["code"] == "disk_full"
    assert list((shelf.folder / "consents").iterdir()) == []
