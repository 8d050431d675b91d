"""The server as a process: where it listens, and how it ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import httpx2 as httpx
import pytest

from rosella.errors import UserError
from rosella.inference.settings import Blocks
from rosella.serve import run as module
from rosella.serve.app import create_app
from rosella.serve.ears import Ears
from rosella.serve.settings import Limits
from rosella.speak import Speaker
from rosella.web.listening import listen, server_of
from serve.small import CONFIG
from serve.test_speech import ask, same
from support import rosella


def test_a_stopped_server_says_what_it_has_begun_to_the_end(studio, monkeypatch):
    """It closes its door at once, and its engine at last."""
    listening = listen("127.0.0.1", 0)
    server = server_of(create_app(studio, Ears(), []), studio.limits.opening, studio.limits.drain)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    whole = ask(address, response_format="pcm").content
    batch = studio.engine.ask(lambda batch: batch)
    advance, begun = batch.advance, threading.Event()

    def slowly() -> None:
        if batch.seats:
            begun.set()
            time.sleep(0.05)
        advance()

    monkeypatch.setattr(batch, "advance", slowly)
    heard = []
    listener = threading.Thread(target=lambda: heard.append(ask(address, response_format="pcm").content))
    listener.start()
    assert begun.wait(20)
    server.should_exit = True
    listener.join(60)
    thread.join(60)
    assert same(heard[0], whole) and not studio.engine.alive
    with pytest.raises(httpx.ConnectError):
        ask(address)


def test_others_may_only_come_with_a_key():
    refused = rosella("serve", "--host", "0.0.0.0")
    assert refused.returncode == 2 and "ROSELLA_API_KEYS" in refused.stderr


def test_all_that_the_server_makes_and_sends_is_in_the_same_blocks(speaker, tmp_path, monkeypatch):
    """In those that the model learnt; others are refused before anything is compiled."""
    learnt = Speaker(speaker.model, replace(CONFIG, blocks=16), speaker.codec)
    measured, made = [], []
    monkeypatch.setattr(module, "load", lambda *given, backend: learnt)
    monkeypatch.setattr(module.capacity, "places_of", lambda speaker, table: measured.append(table) or 2)
    monkeypatch.setattr(module.capacity, "warm", lambda speaker, table: measured.append(table))
    monkeypatch.setattr(module, "create_app", lambda studio, *_: made.append(studio))
    monkeypatch.setattr(module, "server_of", lambda *_: SimpleNamespace(run=lambda sockets: None))
    run = partial(module.run, "tiny", None, "127.0.0.1", 0, None, Limits(), tmp_path, "mini", [])
    run(Blocks(16, 2), "jax")
    studio = made[0]
    assert [*(table.chunk for table in measured), studio.engine.ask(lambda batch: batch.chunk)] == [16] * 3
    assert studio._sampling.blocks == Blocks(16, 2)
    studio.close()
    with pytest.raises(UserError, match="would babble in blocks of 32"):
        run(Blocks(32), "jax")
    assert len(measured) == 2
