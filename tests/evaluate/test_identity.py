from __future__ import annotations

import numpy as np
import pytest

from evaluate.synthetic_speech import sentence
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn
from rosella.evaluate import identity
from rosella.evaluate.identity import Voices

LOW, HIGH = np.eye(4, dtype=np.float32)[:2]


class Diarized(Voices):
    """Hears one voice after another, named by first appearance."""

    def __init__(self, *voices: np.ndarray) -> None:
        names, turns, embeddings = [], [], {}
        for at, voice in enumerate(voices):
            key = voice.tobytes()
            if key not in names:
                names.append(key)
            name = "AB"[names.index(key)]
            embeddings[name] = voice
            turns.append(SpeakerTurn(float(at), at + 1.0, name))
        self.found = Diarization(turns, [], embeddings)

    def _diarized(self, wave):
        return self.found


def test_the_same_voice_is_more_alike_than_another():
    voices = Voices()
    low, again = sentence("aeiouaeiouaeiou", 100.0), sentence("uoieauoieauoiea", 100.0, seed=1)
    high = sentence("aeiouaeiouaeiou", 260.0, formant_shift=1.3)
    same, other = voices.similarity(low, again), voices.similarity(low, high)
    assert same is not None and other is not None and same > other + 0.05
    assert voices.similarity(low, low) == pytest.approx(1.0, abs=1e-5)


def test_what_is_too_short_or_silent_has_no_voice():
    voices = Voices()
    assert voices.embedding(np.zeros(1600, np.float32)) is None
    assert voices.similarity(np.zeros(32_000, np.float32), sentence("aeiou")) is None


@pytest.mark.parametrize(
    ("said", "right"), [("LHL", 1.0), ("L", 1 / 3), ("LH", 2 / 3), ("HH", 1 / 3), ("LHLH", 0.75)]
)
def test_turns_belong_to_the_nearest_prompt(said, right):
    voices = Diarized(*({"L": LOW, "H": HIGH}[voice] for voice in said))
    found = voices.turns_right(
        "[S1] a [S2] b [S1] c", np.ones(16_000, np.float32), {"[S1]": LOW, "[S2]": HIGH}
    )
    assert found == pytest.approx(right)


def test_without_prompts_voices_are_named_as_they_appear():
    wave = np.ones(16_000, np.float32)
    assert Diarized(HIGH, LOW, HIGH).turns_right("[S1] a [S2] b [S1] c", wave, {}) == 1.0
    assert Diarized(LOW).turns_right("[S1] a [S2] b", wave, {}) == 0.5
    assert Diarized(LOW).turns_right("[S1] a", wave, {}) is None


def test_a_prompt_of_two_gives_each_tag_its_voice():
    wave = np.ones(16_000, np.float32)
    found = Diarized(HIGH, LOW).by_tag("[S2] a [S1] b", wave)
    np.testing.assert_array_equal(found["[S2]"], HIGH)
    assert Diarized(HIGH).by_tag("[S2] a [S1] b", wave) == {}, "one voice heard where there are two"
    assert Diarized(HIGH).by_tag("[S1] a", wave) == {}


def test_a_clip_without_sound_is_no_dialogue(monkeypatch):
    assert identity.Voices().turns_right("[S1] a [S2] b", np.zeros(10, np.float32), {}) == 0.0
