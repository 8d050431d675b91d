"""What tests of the server share: ears that hear what they are told, and a small model behind a real server."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rosella.codec import load_codec
from rosella.codec.facts import CodecFacts
from rosella.serve.engine import Engine
from rosella.serve.settings import Limits
from rosella.serve.studio import Studio
from rosella.speak import SavedVoice, Speaker, VoiceShelf
from serve.hearing import Heard
from serve.hearing import server as voices_alone
from serve.small import CONFIG, KEY, LIMITS, serving
from tiny_dia import model


@pytest.fixture
def ears() -> Heard:
    return Heard()


@pytest.fixture
def shelf(tmp_path) -> VoiceShelf:
    return VoiceShelf(tmp_path / "shelf")


@pytest.fixture
def client(shelf, ears):
    return voices_alone(shelf, ears, Limits(voices=3, consents=3))


@pytest.fixture(scope="session")
def speaker() -> Speaker:
    return Speaker(model(CONFIG), CONFIG, load_codec("mini"))


@pytest.fixture
def anna(shelf, speaker) -> SavedVoice:
    """The one voice on the shelf."""
    codes = np.arange(80, dtype=np.uint16).reshape(10, 8)
    voice = SavedVoice(
        codes=codes,
        text="[S1] Ja.",
        codec=CodecFacts.of(speaker.codec),
        licence="CC0-1.0",
        consent="synthetic",
        made="2026-05-03T10:00:00Z",  # type: ignore[arg-type]
        version="0",
    )
    shelf.save("anna", voice)
    return voice


@pytest.fixture
def studio(speaker, shelf, anna) -> Studio:
    """Two may speak at once, two may wait."""
    return Studio(speaker, Engine(lambda: speaker.table(2)), "tiny", shelf, 2, LIMITS)


@pytest.fixture
def server(studio) -> Iterator[str]:
    """The address of a real server, which asks for a key."""
    with serving(studio, [KEY]) as address:
        yield address
