from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from diarization_error import error_rate
from mini.dialogues import dialogue
from mini.espeak import Espeak, Voice
from rosella import audio, mini
from rosella.corpus.diarization import embedded
from rosella.corpus.diarization.load import load_diarizer
from rosella.corpus.diarization.overlap import HOP, OverlapDetector
from rosella.corpus.diarization.turns import SpeakerTurn
from rosella.errors import UserError

RATE = 16_000
LOW, HIGH = Voice("nl+m7", 165, 45), Voice("nl+f5", 165, 55)  # nothing was tuned on these two


@pytest.fixture(scope="module")
def espeak():
    return Espeak()


@pytest.fixture(scope="module")
def diarizer():
    return load_diarizer()


def save(path, wave: np.ndarray):
    soundfile.write(path, wave, RATE)
    return path


def test_two_unseen_voices_one_low_and_one_high(tmp_path, espeak, diarizer):
    wave, truth = dialogue(espeak, [LOW, HIGH], turns=8, seed=1)
    found = diarizer.diarize(save(tmp_path / "a.flac", wave))
    assert error_rate(truth, found.turns).total <= 0.15
    assert error_rate(truth, found.turns, collar=0.0).total <= 0.15
    assert set(found.embeddings) == {"A", "B"} and found.turns[0].speaker == "A"
    assert all(abs(np.linalg.norm(e) - 1) < 1e-5 and e.dtype == np.float32 for e in found.embeddings.values())
    for before, after in zip(found.turns, found.turns[1:], strict=False):
        assert before.start < before.end <= after.start
        assert before.speaker != after.speaker or after.start - before.end > 0.5


def test_voices_with_known_turns_are_those_it_finds_itself(tmp_path, espeak, diarizer):
    wave, truth = dialogue(espeak, [LOW, HIGH], turns=8, seed=1)
    path = save(tmp_path / "a.flac", wave)
    known = [SpeakerTurn(start, end, {"0": "anna", "1": "ben"}[who]) for start, end, who in truth]
    found, named = (
        diarizer.diarize(path),
        diarizer.embed(path, [*known, SpeakerTurn(known[-1].end, known[-1].end + 0.4, "short")]),
    )
    assert named.keys() == {"anna", "ben"}
    first, second = ("anna", "ben") if truth[0][2] == "0" else ("ben", "anna")
    assert named[first] @ found.embeddings["A"] > 0.97 and named[second] @ found.embeddings["B"] > 0.97
    assert named["anna"] @ named["ben"] < 0.9
    assert diarizer.embed(path, []) == {}


def test_a_voice_in_a_turn_as_long_as_its_recording(tmp_path, diarizer):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(0).standard_normal(60_000) * 0.1, 48_000, format="MP3")
    seconds = audio.probe(path).duration
    assert seconds > 60_000 / 48_000, "the padding counts"
    assert diarizer.embed(path, [SpeakerTurn(0.0, seconds, "anna")]).keys() == {"anna"}
    assert diarizer.embed(path, [SpeakerTurn(5.0, 9.0, "anna")]) == {}


def seconds_of_two(spans, length: float) -> np.ndarray:
    """Which of the 10 ms of a recording lie in two spans or more: bool `[hundredths]`."""
    counts = np.zeros(round(length * 100), int)
    for start, end, *_ in spans:
        counts[round(start * 100) : round(end * 100)] += 1
    return counts > 1


def test_two_unseen_voices_at_once_are_marked(tmp_path, espeak, diarizer):
    """Over five dialogues, since espeak never speaks a sentence twice alike."""
    right = there = marked = 0
    for seed in range(5, 10):
        wave, truth = dialogue(espeak, [LOW, HIGH], turns=14, seed=seed, pause=(-1.2, 0.3))
        found = diarizer.diarize(save(tmp_path / "a.flac", wave)).overlaps
        assert found == sorted(found) and all(end - start > 0.19 for start, end in found)
        two, said = (seconds_of_two(spans, len(wave) / RATE) for spans in (truth, 2 * found))
        right, there, marked = right + (two & said).sum(), there + two.sum(), marked + said.sum()
    assert right >= 0.65 * there and right >= 0.8 * marked


def test_changes_of_speaker_are_no_overlap(tmp_path, espeak, diarizer):
    wave, _ = dialogue(espeak, [LOW, HIGH], turns=14, seed=7, pause=(0.0, 0.2))
    found = diarizer.diarize(save(tmp_path / "a.flac", wave)).overlaps
    assert sum(end - start for start, end in found) <= 0.005 * len(wave) / RATE


def test_two_at_once_take_two_voices_and_speech(tmp_path, espeak, monkeypatch):
    monkeypatch.setattr(OverlapDetector, "__call__", lambda _, wave: np.ones(len(wave) // HOP, np.float32))
    diarizer = load_diarizer()
    alone, two = (dialogue(espeak, voices, 4, 1, pause=(1.0, 1.0))[0] for voices in ([LOW, LOW], [LOW, HIGH]))
    assert diarizer.diarize(save(tmp_path / "a.flac", alone)).overlaps == []
    found = diarizer.diarize(save(tmp_path / "b.flac", two))
    assert len(found.overlaps) >= 4 and found.overlaps[0][0] > 0.3  # the speech, and none of the silence
    assert found.overlaps[-1][1] <= found.turns[-1].end + HOP / RATE


def test_overlaps_do_not_depend_on_the_level(espeak):
    wave = dialogue(espeak, [LOW, HIGH], turns=4, seed=6, pause=(-1.2, -0.8))[0]
    detector = OverlapDetector()
    loud, soft = detector(wave), detector(0.03 * wave)
    assert loud.max() > 0.9
    np.testing.assert_allclose(loud, soft, atol=1e-3)


def test_regions_begin_where_it_is_likely_and_end_where_it_is_not():
    bounds = embedded.Bounds(on=0.8, off=0.5, hop=10, shortest=20, pause=20)
    probabilities = np.array([0.6, 0.9, 0.6, 0.4, 0.9, 0.4, 0.4, 0.9, 0.4, 0.4, 0.9, 0.9])
    assert embedded.likely_regions(probabilities, 120, bounds) == [(10, 50), (100, 120)]


def test_one_voice_is_one_speaker(tmp_path, espeak, diarizer):
    wave, _ = dialogue(espeak, [LOW, LOW], turns=5, seed=2)
    assert set(diarizer.diarize(save(tmp_path / "a.wav", wave)).embeddings) == {"A"}


def test_the_same_voice_has_the_same_embedding_elsewhere(tmp_path, espeak, diarizer):
    one, other = (
        diarizer.diarize(save(tmp_path / f"{seed}.flac", dialogue(espeak, [LOW, HIGH], 5, seed)[0]))
        for seed in (3, 4)
    )
    alike = np.stack(list(one.embeddings.values())) @ np.stack(list(other.embeddings.values())).T
    assert sorted(alike.ravel() > 0.9) == [False, False, True, True] and alike.min() < 0.75


def podcast() -> list[dict]:
    lists = [mini.path("podcast") / name for name in ("manifest.jsonl", "said.jsonl")]
    return [json.loads(line) for path in lists for line in path.read_text().splitlines()]


@pytest.mark.parametrize("recording", podcast(), ids=lambda recording: recording["show"])
def test_speakers_of_the_demo_recordings(diarizer, recording):
    truth = [(turn["start"], turn["end"], turn["speaker"]) for turn in recording["turns"]]
    found = diarizer.diarize(mini.path("podcast") / recording["audio"])
    seconds = sorted(
        sum(turn.end - turn.start for turn in found.turns if turn.speaker == voice)
        for voice in found.embeddings
    )
    assert sum(seconds[:-2]) < 0.05 * sum(seconds), "hardly a voice too many"
    assert error_rate(truth, found.turns).total <= 0.06
    assert sum(end - start for start, end in found.overlaps) < 0.01 * sum(seconds)


def test_a_voice_that_never_speaks_long_without_a_breath_is_counted_in_full():
    breaths = [(n * RATE, n * RATE + 3 * RATE // 4) for n in range(3)]
    regions = [*breaths, (4 * RATE, 6 * RATE), (7 * RATE, 8 * RATE)]
    windows = embedded._windows(regions)
    embeddings, seconds = embedded._telling(regions, windows, np.arange(len(windows))[:, None])
    assert embeddings.ravel().tolist() == [3, 4, 5]
    assert seconds.tolist() == [1.0, 1.0, 1.0]


def test_blocks_change_nothing(tmp_path, espeak, diarizer, monkeypatch):
    path = save(tmp_path / "a.flac", dialogue(espeak, [LOW, HIGH], turns=4, seed=5)[0])
    whole = diarizer.diarize(path)
    monkeypatch.setattr(embedded, "BLOCK_SECONDS", 3.2)
    assert diarizer.diarize(path).turns == whole.turns


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_nobody_speaks(tmp_path, diarizer, noise):
    wave = noise * np.random.default_rng(0).standard_normal(3 * RATE)
    found = diarizer.diarize(save(tmp_path / "a.wav", wave))
    assert (found.turns, found.overlaps, found.embeddings) == ([], [], {})


def test_a_file_that_cannot_be_read(tmp_path, diarizer):
    (tmp_path / "a.mp3").write_bytes(b"no audio")
    with pytest.raises(UserError, match="not audio that can be decoded"):
        diarizer.diarize(tmp_path / "a.mp3")


def test_a_second_of_speech_at_the_end_of_the_file(tmp_path, espeak, diarizer):
    said = espeak.say("Hello there.", Voice("en+m7"))
    wave = np.concatenate([np.zeros(RATE, np.float32), said])
    (turn,) = diarizer.diarize(save(tmp_path / "a.wav", wave)).turns
    assert 0.9 < turn.start < 1.2 and turn.end <= len(wave) / RATE


def test_turns_of_one_speaker_are_joined_over_short_pauses():
    turns = [
        SpeakerTurn(0, 1, "A"),
        SpeakerTurn(1.4, 2, "A"),
        SpeakerTurn(2.6, 3, "A"),
        SpeakerTurn(3, 4, "B"),
    ]
    assert [tuple(turn) for turn in embedded.join_turns(turns)] == [(0, 2, "A"), (2.6, 3, "A"), (3, 4, "B")]


def test_the_error_rate_counts_what_is_missed_invented_and_confused():
    truth = [(0.0, 4.0, "x"), (4.0, 8.0, "y"), (6.0, 8.0, "x")]
    found = [(0.0, 5.0, "A"), (5.0, 9.0, "B")]
    rate = error_rate(truth, found, collar=0.0)
    assert rate == pytest.approx((0.2, 0.1, 0.1), abs=1e-3)
    assert error_rate(truth, truth) == (0, 0, 0)
    assert error_rate([(0, 1, "x")], []).total == 1


def test_the_collar_forgives_a_quarter_of_a_second():
    truth, found = [(1.0, 3.0, "x"), (3.0, 5.0, "y")], [(0.8, 3.2, "A"), (3.2, 4.8, "B")]
    assert error_rate(truth, found).total == 0
    assert error_rate(truth, found, collar=0.0).total > 0.1
