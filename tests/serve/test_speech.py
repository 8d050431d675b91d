"""The speech route, asked by OpenAI's own client and by others over a real connection."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2 as httpx
import numpy as np
import openai
import pytest

from rosella import audio
from rosella.inference.settings import Blocks
from rosella.pytorch import load_model
from rosella.serve.engine import Engine
from rosella.serve.studio import Studio
from rosella.speak import Speaker
from rosella.speak.provenance import SOURCE_TYPE
from rosella.weights import save_model
from serve.small import CONFIG, KEY, LIMITS, serving
from tiny_dia import model

TEXT = "[S1] Ja. [S2] Nee, eh nee."


@pytest.fixture
def client(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server}/v1", api_key=KEY, max_retries=0)


def ask(server: str, **fields) -> httpx.Response:
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav", **fields}
    return httpx.post(
        f"{server}/v1/audio/speech", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
    )


def same(one: bytes, other: bytes) -> bool:
    """Whether both are one speech as 16-bit PCM: pieces of a stream are cut by time, so it is the same to 1e-4."""
    waves = [np.frombuffer(data, "<i2").astype(int) for data in (one, other)]
    return len(one) == len(other) and np.abs(waves[0] - waves[1]).max() <= 4


def events(text: str) -> list[dict]:
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]


def quiet(studio, seconds: float = 10) -> bool:
    """Whether, soon, nobody speaks nor sits in the batch."""
    until = time.monotonic() + seconds
    while studio.admission.speaking or studio.engine.ask(lambda batch: batch.seats):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("format", ["wav", "mp3", "opus", "flac", "aac", "pcm"])
def test_openais_client_is_given_every_format(client, tmp_path, format):
    """As long as the 119 frames that the model has room for."""
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Ja.", response_format=format)
    if format == "pcm":
        seconds = len(speech.content) / 2 / 16_000
    else:
        (tmp_path / f"out.{format}").write_bytes(speech.content)
        seconds = audio.probe(tmp_path / f"out.{format}").duration
    assert seconds == pytest.approx(119 / 50, abs=0.15)


def test_openais_streaming_helper_hears_it_while_it_is_made(client, server):
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    ) as response:
        pieces = list(response.iter_bytes(1024))
    assert response.headers["x-digital-source-type"] == SOURCE_TYPE
    assert response.headers["x-sample-rate"] == "16000" and len(pieces) > 3
    assert same(b"".join(pieces), ask(server, response_format="pcm").content)


def test_events_carry_the_file_and_end_with_what_there_is_to_know(server):
    response = ask(server, stream_format="sse", response_format="pcm", seed=3)
    *deltas, done = events(response.text)
    whole = ask(server, response_format="pcm", seed=3)
    sound = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert {event["type"] for event in deltas} == {"speech.audio.delta"} and len(deltas) > 2
    assert same(sound, whole.content)
    usage = done["usage"]
    assert done["type"] == "speech.audio.done" and done["id"] == response.headers["x-speech-id"]
    assert usage["input_tokens"] == len(TEXT) and usage["output_tokens"] == len(sound) // 2 // 320
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert [cue["speaker"] for cue in done["cues"]] == ["S1", "S2"]
    assert done["cues"][-1]["end"] <= len(sound) / 2 / 16_000 + 0.01


def test_in_blocks_each_says_what_the_speaker_says(speaker, shelf, monkeypatch):
    learnt = Speaker(speaker.model, replace(CONFIG, blocks=8, guidance=1.0, temperature=0.0), speaker.codec)
    assert_said_as_spoken(learnt, Blocks(8, 2), shelf, monkeypatch)


def test_by_pytorch_each_says_what_the_speaker_says(speaker, shelf, monkeypatch, tmp_path):
    save_model(tmp_path, model(CONFIG), CONFIG)
    of_torch = Speaker(load_model(tmp_path)[0], CONFIG, speaker.codec)
    assert_said_as_spoken(of_torch, None, shelf, monkeypatch)


def assert_said_as_spoken(speaker, blocks, shelf, monkeypatch) -> None:
    """Three for two places."""
    studio = Studio(speaker, Engine(lambda: speaker.table(2, blocks)), "tiny", shelf, 2, LIMITS, blocks)
    batch, sitting = studio.engine.ask(lambda batch: batch), []
    whole = batch.advance

    def slowly() -> None:
        sitting.append(len(batch.seats))
        time.sleep(0.05)
        whole()

    monkeypatch.setattr(batch, "advance", slowly)
    texts = ["Ja.", "Nee, eh nee.", "Wat?"]
    with serving(studio, [KEY]) as server, ThreadPoolExecutor() as threads:
        asked = [
            threads.submit(ask, server, input=text, seed=seed, response_format="pcm")
            for seed, text in enumerate(texts)
        ]
    assert max(sitting) == 2
    for heard, said in zip(asked, speaker.speak(texts, tries=1, blocks=blocks), strict=True):
        assert same(heard.result().content, np.round(said.waveform * 32767).astype("<i2").tobytes())


def test_the_speed_is_heard(server):
    slow, fast = (
        len(ask(server, speed=speed, response_format="pcm", seed=2).content) for speed in (0.5, 2.0)
    )
    assert slow / fast == pytest.approx(4, rel=0.02)


def test_a_seed_and_each_name_of_openais_is_a_voice_of_its_own_and_stays_so(server):
    said = {
        name: ask(server, voice=name, response_format="pcm", input="Ja.").content
        for name in ("alloy", "echo")
    }
    again = ask(server, voice={"id": "alloy"}, response_format="pcm", input="Ja.").content
    assert same(said["alloy"], again) and not same(said["alloy"], said["echo"])


def test_saved_voices_speak_alone_and_beside_each_other(server, anna):
    ids = {"S1": "anna", "S2": {"id": "anna"}}
    text = "[S1] Ja. [S2] Ja."
    alone = ask(server, voice="anna", response_format="pcm", input=text, seed=1)
    both = ask(server, voice=None, voices=ids, response_format="pcm", input=text, seed=1)
    free = ask(server, response_format="pcm", input=text, seed=1)
    room = CONFIG.room(len(anna.codes))
    assert len(alone.content) // 2 <= room * 320 and not same(alone.content, free.content)
    assert both.status_code == 200 and not same(both.content, alone.content)


def test_a_speech_goes_on_in_the_voices_of_another(server, studio):
    first = ask(server, input="Ja.", seed=1)
    recital = studio._said[first.headers["x-speech-id"]]
    past = recital.said
    short = tuple(
        said._replace(codes=said.codes[:20]) for said in past.shown
    )  # or there is no room behind it
    recital._past = replace(past, shown=short)
    second = ask(
        server, input="Nee.", seed=1, continue_from=first.headers["x-speech-id"], response_format="pcm"
    )
    alone = ask(server, input="Nee.", seed=1, response_format="pcm")
    assert second.status_code == 200 and not same(second.content, alone.content)
    lost = ask(server, continue_from="speech_unknown")
    assert lost.status_code == 404 and lost.json()["error"]["param"] == "continue_from"


@pytest.mark.parametrize(
    ("fields", "status", "param", "sentence"),
    [
        ({"voice": "bob"}, 404, "voice", "no such voice"),
        ({"voice": "../anna"}, 404, "voice", "no such voice"),
        ({"voice": "http://127.0.0.1/anna.wav"}, 404, "voice", "no such voice"),
        ({"model": "gpt-9"}, 404, "model", "ask for tiny"),
        ({"input": ""}, 400, "input", "at least 1 character"),
        ({"input": "a" * 5000}, 400, "input", "takes 4096"),
        ({"input": "[S9] Ja."}, 400, "input", "S9"),
        ({"input": "[pause:9h] Ja."}, 400, "input", "pause"),
        ({"speed": 5}, 400, "speed", "less than or equal to 4"),
        ({"response_format": "ogg"}, 400, "response_format", "mp3"),
        ({"instructions": "Sing."}, 400, "instructions", "takes no instructions"),
        ({"seed": -1}, 400, "seed", "greater than or equal to 0"),
        ({"voices": {"S7": "anna"}}, 400, "voices.S7.[key]", "S1"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_a_sentence_that_names_the_field(
    server, fields, status, param, sentence
):
    response = ask(server, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param)
    assert sentence in error["message"] and "Traceback" not in response.text


def test_a_body_that_is_too_large_or_no_json_is_refused(server):
    address, headers = f"{server}/v1/audio/speech", {"Authorization": f"Bearer {KEY}"}
    large = httpx.post(address, content=b"x" * 100_000, headers=headers)
    broken = httpx.post(address, content=b"{", headers={**headers, "Content-Type": "application/json"})
    assert (large.status_code, broken.status_code) == (413, 400)


def test_without_a_key_there_is_nothing_but_health(server, client):
    stranger = openai.OpenAI(base_url=f"{server}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="API key"):
        stranger.audio.speech.create(model="tts-1", voice="alloy", input="Ja.")
    for path in (
        "/",
        "/static/app.js",
        "/metrics",
        "/v1/models",
        "/v1/audio/voices",
        "/v1/audio/voice_consents",
    ):
        assert httpx.get(server + path).status_code == 401, path
    assert httpx.get(f"{server}/health").json()["status"] == "ok"
    assert httpx.get(f"{server}/metrics", auth=("anybody", KEY)).status_code == 200
    assert [each.id for each in client.models.list()] == ["tiny"]


def test_pages_of_other_hosts_may_not_speak_here(server):
    headers = {"Authorization": f"Bearer {KEY}", "Origin": "https://example.com"}
    assert httpx.get(f"{server}/v1/models", headers=headers).status_code == 403
    headers["Origin"] = server
    assert httpx.get(f"{server}/v1/models", headers=headers).status_code == 200


def test_who_comes_when_all_places_and_the_queue_are_taken_is_refused_at_once(server, client, studio):
    for _ in range(2):
        studio.admission.speaking += 1
    threads = [threading.Thread(target=ask, args=(server,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while studio.admission.waiting < 2:
        time.sleep(0.01)
    with pytest.raises(openai.RateLimitError, match="try again in") as refused:
        client.audio.speech.create(model="tts-1", voice="alloy", input="Ja.")
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    for _ in range(2):
        studio.admission._pass_on()
    for thread in threads:
        thread.join(60)
    assert studio.admission.waiting == 0


def test_a_model_that_raises_fails_its_request_alone(server, studio, monkeypatch):
    batch = studio.engine.ask(lambda batch: batch)

    def broken() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(batch, "advance", broken)
    failed = ask(server)
    assert failed.status_code == 500 and "secret" not in failed.text
    assert "try again" in failed.json()["error"]["message"]
    assert ask(server).status_code == 200 and quiet(studio)


def test_a_fault_behind_the_first_sound_breaks_the_answer_off_and_is_an_event(server, studio, monkeypatch):
    """What was cut off must not look whole."""
    for stream_format in ("audio", "sse"):
        batch, taken = studio.engine.ask(lambda batch: batch), 0
        whole = batch.advance

        def fails_later(whole=whole) -> None:
            nonlocal taken
            taken += 1
            if taken > 8:
                raise RuntimeError("later")
            whole()

        monkeypatch.setattr(batch, "advance", fails_later)
        if stream_format == "audio":
            with pytest.raises(httpx.RemoteProtocolError):
                ask(server, response_format="pcm")
        else:
            *_, last = events(ask(server, response_format="pcm", stream_format="sse").text)
            assert last["type"] == "error" and "try again" in last["error"]["message"]
        assert quiet(studio)


def test_a_listener_who_leaves_frees_his_place(server, studio, monkeypatch):
    """Steps stop within a chunk, and the batch is empty, though the speech had seconds to go."""
    batch = studio.engine.ask(lambda batch: batch)
    whole, taken = batch.advance, threading.Semaphore(0)
    step = threading.Semaphore(6)

    def slowly() -> None:
        if batch.seats:
            step.acquire()
            taken.release()
        whole()

    monkeypatch.setattr(batch, "advance", slowly)
    host, port = urlsplit(server).netloc.split(":")
    body = json.dumps({"input": TEXT, "voice": "alloy", "response_format": "pcm"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(head.encode() + body)
        assert leaving.recv(100).startswith(b"HTTP/1.1 200")
    time.sleep(0.3)
    step.release(1)
    assert quiet(studio)
    step.release(100)


def test_a_listener_who_does_not_read_holds_no_place(server, studio):
    """What is made for him waits until he does, to the last sample."""
    text = " ".join(["[S1] Ja, dit is nog een zin."] * 4)
    with httpx.stream(
        "POST",
        f"{server}/v1/audio/speech",
        json={"input": text, "response_format": "pcm"},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
    ) as answer:
        assert quiet(studio, 60)
        assert ask(server).status_code == 200
        sound = answer.read()
    assert len(sound) > 4 * 32_000


def test_a_request_that_never_comes_to_its_end_is_closed(server):
    host, port = urlsplit(server).netloc.split(":")
    for begun in (b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"GET /health HTTP/1.1\r\nHost"):
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(begun)
            slow.settimeout(20)
            assert slow.recv(100) == b""


def test_what_happened_is_counted(server):
    ask(server)
    page = httpx.get(f"{server}/metrics", auth=("", KEY)).text
    seconds = float(page.split("\nrosella_audio_seconds_total ")[1].split()[0])
    assert 1 < seconds <= 2 * 119 / 50
    assert "rosella_speaking 0.0" in page and 'rosella_first_audio_seconds_bucket{le="+Inf"} 1.0' in page
    assert 'rosella_requests_total{route="/v1/audio/speech",status="200"} 1.0' in page
