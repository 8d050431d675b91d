"""Voices over HTTP: made, found, refused, deleted; by a plain client and by OpenAI's own."""

from __future__ import annotations

from http import HTTPStatus

import openai
import pytest

from rosella.serve import voices
from rosella.serve.consents import PHRASES
from rosella.speak import Voice, make_voice
from rosella.web.faults import Refusal
from serve.hearing import CONSENTS, URL, Codec, consent, fault, voice
from serve.sounds import RATE, tone, wav


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
