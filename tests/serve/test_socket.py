"""A text that is still being written, over a socket."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from serve.small import KEY
from serve.test_speech import ask, quiet, same


@pytest.fixture
def socket(server):
    address = server.replace("http", "ws") + "/v1/audio/speech/stream"
    with connect(address, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
        yield socket


def send(socket, *messages) -> None:
    with suppress(ConnectionClosed):  # after the first of them that was wrong
        for message in messages:
            socket.send(json.dumps(message))


def heard(socket) -> list[dict]:
    """All events until the server closes."""
    return [json.loads(message) for message in socket]


def test_a_sentence_is_heard_before_the_text_has_ended(socket, server):
    send(socket, {"type": "start", "seed": 1})
    for fragment in ("[S1] Ja, dit is ee", "n zin die al klaar is. En dan ", "komt er nog iets"):
        send(socket, {"type": "text", "text": fragment})
    first = json.loads(socket.recv(timeout=60))
    assert first["type"] == "speech.audio.delta"
    send(socket, {"type": "text", "text": " achteraan."}, {"type": "end"})
    *deltas, done = heard(socket)
    sound = b"".join(base64.b64decode(event["audio"]) for event in [first, *deltas])
    assert done["type"] == "speech.audio.done" and done["usage"]["input_tokens"] == 75
    assert done["cues"][0]["text"].startswith("Ja") and done["cues"][-1]["text"].endswith("achteraan.")
    assert len(sound) // 2 / 16_000 >= done["cues"][-1]["end"]


def test_a_text_that_is_sent_whole_is_the_speech_of_the_other_route(socket, server):
    send(socket, {"type": "start", "seed": 1}, {"type": "text", "text": "Ja."}, {"type": "end"})
    *deltas, _ = heard(socket)
    sound = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert same(sound, ask(server, input="Ja.", seed=1, response_format="pcm").content)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([{"type": "text", "text": "Ja."}], "begins with"),
        ([{"type": "start"}, {"type": "start"}], "has begun"),
        ([{"type": "sing"}], "A message is JSON"),
        ([{"type": "start", "voice": "bob"}, {"type": "end"}], "no such voice"),
        ([{"type": "start", "model": "gpt-9"}], "ask for tiny"),
        ([{"type": "start"}, {"type": "text", "text": "a" * 5000}], "longer than"),
        ([{"type": "start"}, {"type": "text", "text": "[S9] Ja."}, {"type": "end"}], "S9"),
        ([{"type": "start"}], "Nothing was written for 2 s"),
    ],
)
def test_what_cannot_be_spoken_is_said_and_ends_the_socket(socket, studio, messages, sentence):
    send(socket, *messages)
    *_, last = heard(socket)
    assert last["type"] == "error" and sentence in last["error"]["message"]
    assert quiet(studio)


def test_a_writer_who_leaves_frees_his_place(server, studio):
    address = server.replace("http", "ws") + "/v1/audio/speech/stream"
    with connect(address, additional_headers={"Authorization": f"Bearer {KEY}"}) as leaving:
        send(leaving, {"type": "start"}, {"type": "text", "text": "[S1] Ja, dit is een zin. En nog een stuk"})
        leaving.recv(timeout=60)
    assert quiet(studio)


def test_no_key_no_socket(server):
    with pytest.raises(InvalidStatus) as refused:
        connect(server.replace("http", "ws") + "/v1/audio/speech/stream")
    assert refused.value.response.status_code == 403
