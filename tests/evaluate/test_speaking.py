from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from codec.copying import Copy
from evaluate.synthetic_speech import RATE, sentence, sentences
from rosella import audio
from rosella.corpus.recogniser import Transcript, Transcription
from rosella.evaluate.identity import Voices
from rosella.evaluate.sentences import Sentence, VoiceClip
from rosella.evaluate.speaking import (
    ModelEvaluation,
    Yardstick,
    evaluate_model,
    load_evaluation,
    measure_references,
    save_evaluation,
    to_dict,
)
from rosella.inference.settings import Blocks

TEXTS = sentences(6, length=8)
PITCHES = {"low": 110.0, "high": 210.0}


@dataclass
class Said:
    waveform: np.ndarray
    sample_rate: int
    stopped: bool


class Reader:
    """Says each text with `say`."""

    def __init__(self, say) -> None:
        self.say, self.blocks, self.voices = say, None, []

    def speak(self, texts, voice, seed, max_seconds, tries, blocks, progress):
        assert tries == 1, "what is measured is the model"
        self.blocks, self.voices = blocks, voice
        progress(len(texts))
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
    return measure_references(lines, Copy())


@pytest.fixture(scope="module")
def evaluation(yardstick: Yardstick) -> ModelEvaluation:
    return evaluate_model("good", Reader(lambda text: sentence(text, 120.0, speed=0.8, seed=3)), yardstick)


def test_a_model_that_reads_is_understood_and_the_controls_say_so(evaluation: ModelEvaluation) -> None:
    summary = evaluation.summary
    assert summary["retrieval"] == 1.0
    assert summary["retrieval_round_trip"] == 1.0
    assert summary["retrieval_shuffled_text"] == 0.0
    assert summary["retrieval_chance"] == pytest.approx(1 / 6)
    assert summary["codec_stoi"] > 0.99


def test_only_sentences_to_be_spoken_are_spoken_and_all_compete(evaluation: ModelEvaluation) -> None:
    assert len(evaluation.clips) == 9
    assert [clip.candidates for clip in evaluation.clips] == [6] * 9
    assert set(evaluation.waves) == {clip.id for clip in evaluation.clips}


def test_pace_and_voice_come_from_the_clips(evaluation: ModelEvaluation) -> None:
    assert evaluation.summary["length_ratio"] == pytest.approx(1.25, rel=0.02)
    assert evaluation.summary["stopped"] == pytest.approx(
        np.mean([not clip.text.startswith("a") for clip in evaluation.clips])
    )
    low = [clip.pitch_semitones for clip in evaluation.clips if clip.speaker == "low"]
    high = [clip.pitch_semitones for clip in evaluation.clips if clip.speaker == "high"]
    assert max(low) < 3 < min(high)


def test_silence_before_and_behind_what_is_said_is_no_slower_pace(yardstick: Yardstick) -> None:
    silence = np.zeros(RATE, np.float32)
    waits = evaluate_model(
        "waits", Reader(lambda text: np.concatenate([silence, sentence(text), silence])), yardstick
    )
    assert waits.summary["length_ratio"] == pytest.approx(1.0, abs=0.03)
    made = sum(map(len, waits.waves.values())) / RATE
    assert waits.summary["real_time_factor"] == pytest.approx(made / waits.summary["work_seconds"])


class ByLevel(Voices):
    """Knows loud clips from faint ones."""

    def embedding(self, wave):
        return np.array([1.0, 0.0] if np.abs(wave).max() > 0.3 else [0.0, 1.0], np.float32)


def test_a_voice_is_right_where_its_own_clip_is_nearer_than_the_others(tmp_path: Path) -> None:
    lines, levels = [], {"loud": 0.5, "faint": 0.1}
    for speaker, level in levels.items():
        clip = tmp_path / f"{speaker}.wav"
        audio.write(clip, np.full(RATE, level, np.float32), RATE)
        voice = VoiceClip(clip, f"[S1] {speaker}")
        lines += [Sentence(f"{speaker}{text}", text, clip, speaker, "xx", voice) for text in TEXTS[:2]]
    measured = replace(measure_references(lines, Copy()), voices=ByLevel())
    reader = Reader(lambda text: np.full(RATE, 0.5, np.float32))
    shouts = evaluate_model("shouts", reader, measured)
    assert [voice.text for voice in reader.voices] == ["[S1] loud"] * 2 + ["[S1] faint"] * 2
    assert len(set(map(id, reader.voices))) == 2, "the sentences of a clip share it"
    assert [clip.voice_right for clip in shouts.clips] == [True, True, False, False]
    assert shouts.summary["voice_right"] == 0.5
    alone = replace(measured, sentences=lines[:2], references=measured.references[:2])
    assert alone.shown_voices == {}, "one voice is always the nearest"


def test_a_model_that_always_says_the_same_is_at_chance(yardstick: Yardstick) -> None:
    parrot = evaluate_model("parrot", Reader(lambda text: sentence(TEXTS[0])), yardstick)
    assert parrot.summary["retrieval_hits"] == 2  # the first sentence of each speaker


def test_a_model_that_says_nothing_is_scored(yardstick: Yardstick) -> None:
    mute = evaluate_model("mute", Reader(lambda text: np.zeros(0, np.float32)), yardstick)
    assert np.isnan(mute.summary["pitch_semitones"])
    assert mute.summary["length_ratio"] < 0.2
    assert to_dict(mute)["summary"]["pitch_semitones"] is None


def test_saved_scores_come_back(tmp_path: Path, evaluation: ModelEvaluation) -> None:
    save_evaluation(evaluation, tmp_path)
    loaded = load_evaluation(tmp_path)
    assert to_dict(loaded) == to_dict(evaluation) and loaded.clips == evaluation.clips
    assert loaded.intervals == evaluation.intervals and loaded.intervals["retrieval"] == (1.0, 1.0)
    for name, wave in evaluation.waves.items():
        np.testing.assert_allclose(loaded.waves[name], wave, atol=1e-4)


class Listener:
    """Hears the text that a clip's level stands for, or nothing where a clip has no sound."""

    window, batch_size, languages, version = 10.0, 4, frozenset({"nl"}), "2:verbatim=abc"

    def __init__(self, heard) -> None:
        self.heard, self.asked = heard, []

    def write(self, clips, waves):
        self.asked += [(clip.language, len(wave)) for clip, wave in zip(clips, waves, strict=True)]
        texts = [self.heard(wave) for wave in waves]
        return {
            clip.id: Transcription("nl", 0.0, {"verbatim": Transcript(text, -0.1, 1.0)})
            for clip, text in zip(clips, texts, strict=True)
        }


def test_what_is_said_is_read_back_and_word_errors_are_counted(yardstick: Yardstick) -> None:
    listener = Listener(lambda wave: TEXTS[round(10 * float(np.median(wave))) - 1] if wave.any() else "")
    measured = replace(yardstick, transcriber=listener, control_wer=0.25)
    levels = Reader(lambda text: np.full(RATE, 0.1 * (TEXTS.index(text) + 1), np.float32))
    good = evaluate_model("good", levels, measured)
    assert (good.summary["wer"], good.summary["wer_round_trip"]) == (0.0, 0.25)
    assert [clip.heard for clip in good.clips] == [clip.text for clip in good.clips]
    assert {language for language, _ in listener.asked} == {None}, "a language it does not know is guessed"
    mute = evaluate_model("mute", Reader(lambda text: np.zeros(0, np.float32)), measured)
    assert (mute.summary["wer"], mute.summary["lost"]) == (1.0, 1.0) and np.isnan(mute.summary["wer_kept"])
    assert to_dict(mute)["facts"]["recogniser_version"] == "2:verbatim=abc"


def test_every_seed_says_every_sentence_and_the_intervals_are_over_both(yardstick: Yardstick) -> None:
    seeds, shown = [], []

    class Seeded(Reader):
        def speak(self, texts, **settings):
            seeds.append(settings["seed"])
            return super().speak(texts, **settings)

    reader = Seeded(lambda text: sentence(text if text != TEXTS[1] else TEXTS[0], 120.0, seed=3))
    made = evaluate_model(
        "good", reader, yardstick, seed=5, progress=lambda done, note="": shown.append(done), seeds=3
    )
    assert seeds == [5, 10_005, 20_005] and shown == [9, 18, 27]
    assert len({clip.id for clip in made.clips}) == 27 == made.summary["clips"]
    assert [clip.text for clip in made.clips[:9]] == [clip.text for clip in made.clips[9:18]]
    low, high = made.intervals["retrieval"]
    assert made.summary["retrieval"] == pytest.approx(7 / 9) and low < 7 / 9 < high
    assert made.facts["seeds"] == "3"


def test_what_is_scored_is_said_in_blocks_where_they_are_asked_for(yardstick: Yardstick) -> None:
    model = Reader(lambda text: sentence(text, 120.0))
    made = evaluate_model("blocks", model, yardstick, blocks=Blocks(8, 2))
    assert model.blocks == Blocks(8, 2)
    assert "size=8, passes=2" in made.facts["blocks"], "scores say how they came about"


def test_a_clip_longer_than_the_window_is_cut_for_reading(yardstick: Yardstick) -> None:
    listener = Listener(lambda wave: "")
    measured = replace(yardstick, transcriber=listener)
    evaluate_model("slow", Reader(lambda text: np.full(RATE * 12, 0.1, np.float32)), measured)
    assert {length for _, length in listener.asked} == {160_000}


def test_without_a_recogniser_there_are_no_word_errors(evaluation: ModelEvaluation) -> None:
    assert "wer" not in evaluation.summary and evaluation.clips[0].heard is None
