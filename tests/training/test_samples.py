from __future__ import annotations

import json

import numpy as np
import pytest

from rosella import audio
from rosella.errors import UserError
from rosella.speak import Speech
from rosella.training.recipe import SampleRecipe
from rosella.training.run import TrainingRun
from rosella.training.samples import Clip, Spoken, keep, says


class Speaker:
    def speak(self, texts, max_seconds=None, tries=3):
        wave = np.full(160, 0.1, np.float32)
        return [Speech(wave, 16_000, np.zeros((1, 1)), text == "een") for text in texts]


def test_texts_are_said_and_it_is_known_whether_they_ended():
    spoken = says(SampleRecipe(texts=["een", "twee"]), None)(Speaker())  # type: ignore[arg-type]
    assert [clip.text for clip in spoken.clips] == ["een", "twee"] and spoken.values == {"stopped": 0.5}


def test_sentences_need_somebody_who_listens():
    with pytest.raises(UserError, match=r"need somebody who listens: .*listening=rosella\.evaluate"):
        says(SampleRecipe(sentences="x.jsonl"), None)  # type: ignore[arg-type]


def test_what_was_said_is_kept_with_what_was_heard(tmp_path):
    sound = Clip("a", "een", np.full(160, 0.1, np.float32), 16_000, True, "een")
    silence = Clip("b", "twee", np.zeros(0, np.float32), 16_000, False)
    keep(Spoken([sound, silence]), TrainingRun(tmp_path), 7)
    assert len(audio.decode(tmp_path / "samples" / "00000007-a.wav", 16_000)) == 160
    lines = json.loads((tmp_path / "samples" / "00000007.json").read_text())
    assert [line["audio"] for line in lines] == ["00000007-a.wav", None]
    assert [line["heard"] for line in lines] == ["een", None]
