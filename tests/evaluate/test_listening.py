from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from codec.copying import Copy
from evaluate.synthetic_speech import RATE, sentence
from rosella import audio
from rosella.corpus.recogniser import Transcript, Transcription
from rosella.errors import UserError
from rosella.evaluate import listening
from rosella.training.recipe import SampleRecipe

TEXTS = ["aeio", "uyae", "ioau"]


@dataclass
class Said:
    waveform: np.ndarray
    sample_rate: int
    stopped: bool


class Speaker:
    def speak(self, texts, max_seconds, **settings):
        self.limit = max_seconds
        return [Said(sentence(text.removeprefix("[S1] ")), RATE, text in TEXTS) for text in texts]


class Reader:
    window, batch_size, languages, version = 10.0, 4, frozenset({"nl"}), "2:verbatim=abc"

    def write(self, clips, waves):
        made = Transcript("aeio", -0.1, 1.0)
        return {clip.id: Transcription("nl", 0.0, {"verbatim": made}) for clip in clips}


@pytest.fixture
def manifest(tmp_path):
    lines = []
    for number, text in enumerate(TEXTS):
        audio.write(tmp_path / f"{number}.wav", sentence(text, 130.0), RATE)
        lines.append(json.dumps({"audio": f"{number}.wav", "text": text, "language": "nl"}))
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_sentences_are_said_and_scored_and_texts_said_beside_them(manifest, monkeypatch):
    monkeypatch.setattr(listening, "reader", lambda name: Reader())
    recipe = SampleRecipe(texts=["yyyy"], sentences=str(manifest), recogniser="mini", max_seconds=3.0)
    speaker = Speaker()
    spoken = listening.listener(recipe, Copy())(speaker)
    assert [clip.text for clip in spoken.clips] == ["yyyy", *TEXTS] and speaker.limit == 3.0
    assert {clip.heard for clip in spoken.clips} == {"aeio"}
    assert spoken.values["retrieval"] == spoken.values["stopped"] == 1.0
    assert spoken.values["wer"] == spoken.values["lost"] == pytest.approx(2 / 3)
    assert spoken.values["wer_kept"] == 0.0 and spoken.values["similarity"] > 0.5
    assert spoken.values["turns_right"] is None and spoken.values["retrieval_chance"] == pytest.approx(1 / 3)


def test_texts_alone_are_scored_as_far_as_they_can_be(monkeypatch):
    monkeypatch.setattr(listening, "reader", lambda name: Reader())
    spoken = listening.listener(SampleRecipe(texts=["aeio", "oooo"], recogniser="mini"), Copy())(Speaker())
    assert spoken.values == {"stopped": 0.5, "wer": 0.5}
    plain = listening.listener(SampleRecipe(texts=["aeio"]), Copy())(Speaker())
    assert plain.values == {"stopped": 1.0} and plain.clips[0].heard is None


def test_a_manifest_that_is_missing_is_said_before_the_training():
    with pytest.raises(UserError, match="cannot be read as a UTF-8 manifest"):
        listening.listener(SampleRecipe(sentences="nowhere.jsonl"), Copy())
