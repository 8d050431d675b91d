from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from evaluate.synthetic_speech import RATE, sentence, sentences
from rosella import audio
from rosella.evaluate import scores
from rosella.evaluate.scores import Evaluation, Yardstick
from rosella.evaluate.sentences import Sentence

TEXTS = sentences(6, length=8)
PITCHES = {"low": 110.0, "high": 210.0}


class FaithfulCodec:
    """16 bit samples as codes of one codebook a sample: a codec that loses nothing."""

    sample_rate, frame_rate, hop, num_codebooks, codebook_size, fingerprint = RATE, 50.0, 320, 1, 65536, "x"

    def encode(self, waves):
        return [np.round((wave + 1) * 32767).astype(np.uint16)[:, None] for wave in waves]

    def decode(self, codes):
        return [(code[:, 0] / 32767 - 1).astype(np.float32) for code in codes]


@dataclass
class Said:
    waveform: np.ndarray
    sample_rate: int
    stopped: bool


class Reader:
    """Says each text with `say`, in batches that `batches` records."""

    def __init__(self, say) -> None:
        self.say, self.batches = say, []

    def speak(self, texts, voice=None, seed=0, max_seconds=None):
        self.batches.append(list(texts))
        return [Said(self.say(text), RATE, not text.startswith("a")) for text in texts]


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory: pytest.TempPathFactory) -> Yardstick:
    """Six sentences by each of two speakers; the high one's last three are only there to compete."""
    folder = tmp_path_factory.mktemp("references")
    lines = []
    for speaker, pitch in PITCHES.items():
        for number, text in enumerate(TEXTS):
            path = folder / f"{speaker}{number}.wav"
            audio.write(path, sentence(text, pitch), RATE)
            spoken = speaker == "low" or number < 3
            lines.append(Sentence(path.stem, text, path, speaker, "xx", None, spoken))
    return scores.prepare(lines, FaithfulCodec())


@pytest.fixture(scope="module")
def evaluation(yardstick: Yardstick) -> Evaluation:
    return scores.evaluate("good", Reader(lambda text: sentence(text, 120.0, speed=0.8, seed=3)), yardstick)


def test_a_model_that_reads_is_understood_and_the_controls_say_so(evaluation: Evaluation) -> None:
    summary = evaluation.summary
    assert summary["retrieval"] == 1.0
    assert summary["retrieval_round_trip"] == 1.0
    assert summary["retrieval_shuffled_text"] == 0.0
    assert summary["retrieval_chance"] == pytest.approx(1 / 6)
    assert summary["codec_stoi"] > 0.99


def test_only_sentences_to_be_spoken_are_spoken_and_all_compete(evaluation: Evaluation) -> None:
    assert len(evaluation.clips) == 9
    assert [clip.candidates for clip in evaluation.clips] == [6] * 9
    assert set(evaluation.waves) == {clip.id for clip in evaluation.clips}


def test_pace_and_voice_come_from_the_clips(evaluation: Evaluation) -> None:
    assert evaluation.summary["length_ratio"] == pytest.approx(1.25, rel=0.02)
    assert evaluation.summary["stopped"] == pytest.approx(
        np.mean([not clip.text.startswith("a") for clip in evaluation.clips])
    )
    low = [clip.pitch_semitones for clip in evaluation.clips if clip.speaker == "low"]
    high = [clip.pitch_semitones for clip in evaluation.clips if clip.speaker == "high"]
    assert max(low) < 3 < min(high)


def test_a_model_that_always_says_the_same_is_at_chance(yardstick: Yardstick) -> None:
    parrot = scores.evaluate("parrot", Reader(lambda text: sentence(TEXTS[0])), yardstick)
    assert parrot.summary["retrieval_hits"] == 2  # the first sentence of each speaker


def test_a_model_that_says_nothing_is_scored(yardstick: Yardstick) -> None:
    mute = scores.evaluate("mute", Reader(lambda text: np.zeros(0, np.float32)), yardstick)
    assert np.isnan(mute.summary["pitch_semitones"])
    assert mute.summary["length_ratio"] < 0.2
    assert scores.to_dict(mute)["summary"]["pitch_semitones"] is None


def test_saved_scores_come_back(tmp_path: Path, evaluation: Evaluation) -> None:
    scores.save(evaluation, tmp_path)
    loaded = scores.load(tmp_path)
    assert (loaded.model, loaded.summary, loaded.clips) == ("good", evaluation.summary, evaluation.clips)
    for name, wave in evaluation.waves.items():
        np.testing.assert_allclose(loaded.waves[name], wave, atol=1e-4)
