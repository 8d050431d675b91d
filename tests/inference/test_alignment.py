"""Where in its text a speech is: heads that read along are believed, and what they say fits recordings of known times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mini.espeak import Espeak, Voice
from mini.speech import Turn, write_recording
from rosella import audio, dialogue
from rosella.inference import alignment
from rosella.inference.alignment import follow
from rosella.inference.generate import prepared
from rosella.inference.reading import STRIDE, read_along
from tiny_dia import ATTEND, model, shaped


def looking(places: np.ndarray, width: int, share: float, seed: int = 0) -> np.ndarray:
    """A head that looks at these places with so much of its attention, and anywhere with the rest."""
    head = np.random.default_rng(seed).dirichlet(np.full(width, 0.3), len(places)) * (1 - share)
    head[np.arange(len(places)), places] += share
    return head.astype(np.float32)


def test_the_heads_that_read_along_are_believed():
    truth = np.minimum(np.arange(60) // 2, 24)
    readers = [looking(truth, 25, 0.5, seed) for seed in range(3)]
    noise = [looking(truth[::-1], 25, 0.6, seed) for seed in range(4)]
    followed = read_along(np.stack([*noise, *readers]))
    assert np.mean(followed.places == truth) > 0.9
    assert 0.4 < followed.shares.mean() < 0.8
    assert np.diff(followed.places).min() >= 0
    assert np.diff(followed.places).max() <= STRIDE


def test_a_speech_that_breaks_off_ends_in_the_middle_of_its_text():
    assert read_along(looking(np.arange(40) // 2, 50, 0.6)[None]).places[-1] < 25


def test_what_pads_text_and_frames_is_not_looked_at(monkeypatch):
    """Nor is the key that stands for padding, where a model was trained to see it."""
    dia, ids = model(replace(ATTEND, decoder=shaped(layers=1).decoder)), dialogue.encode("[S1] ja, eh")
    codes = np.random.default_rng(0).integers(0, 16, (9, 3)).astype(np.uint16)
    found = []
    for steps in (9, 64):
        monkeypatch.setattr(alignment, "FOLLOWED", steps)
        found.append(follow(dia, ids, codes, prepared(dia)))
    assert found[0].places.shape == (9,)
    assert found[0].places.max() < len(ids)
    np.testing.assert_array_equal(found[0].places, found[1].places)
    np.testing.assert_allclose(found[0].shares, found[1].shares, atol=2e-3)


def test_the_embedded_model_hears_when_turns_begin(tmp_path):
    """Within a quarter of a second in the middle of its pauses, which it does not tell from the turns around them."""
    from rosella.speak import load

    host, guest = Voice("nl+f1"), Voice("nl+m7", 155, 45, 60)
    turns = [
        (host, "Dat is veel."),
        (guest, "Ja, mijn zus draagt de zware doos."),
        (host, "En wat zoekt de bakker?"),
    ]
    spoken = [Turn(voice, text) for voice, text in turns]
    times, _ = write_recording(Espeak(), [spoken], tmp_path / "talk.flac", 0)
    wave = audio.decode(tmp_path / "talk.flac", 16_000, 0.0, times[-1]["end"])
    text, at = "", list[int]()
    for voice, said in turns:
        text = f"{text} [S{1 if voice == host else 2}] ".lstrip()
        at.append(len(dialogue.encode(f"{text}x")) - 1)
        text += said
    speaker = load()
    (codes,) = speaker.codec.encode([wave])
    followed = speaker.follow(dialogue.encode(text), codes)
    begun = np.searchsorted(followed.places, at) / 50
    np.testing.assert_allclose(begun, [turn["start"] for turn in times], atol=0.25)
    assert followed.shares.mean() > 0.4
