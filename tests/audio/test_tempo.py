"""Speech at another pace: as long as asked for, in the same voice, whatever the pieces were."""

from __future__ import annotations

import numpy as np
import pytest

from rosella import audio, mini
from rosella.audio.tempo import Tempo
from rosella.errors import UserError
from rosella.evaluate.intelligibility import SAMPLE_RATE
from rosella.evaluate.voice import median_pitch

PACES = (0.25, 0.4, 0.8, 1.25, 2.0, 3.0, 4.0)
RATES = (16_000, 44_100)


@pytest.fixture(scope="module", params=RATES)
def speech(request) -> tuple[np.ndarray, int]:
    """One speaker of the podcast."""
    clips = [mini.path("podcast") / "heldout" / f"clara-{number:02}.opus" for number in range(3)]
    return np.concatenate([audio.decode(clip, request.param) for clip in clips]), request.param


def said(wave: np.ndarray, rate: int, pace: float, step: int) -> np.ndarray:
    tempo = Tempo(pace, rate)
    pieces = [tempo.push(wave[start : start + step]) for start in range(0, len(wave), step)]
    return np.concatenate([*pieces, tempo.finish()])


@pytest.mark.parametrize("pace", PACES)
def test_it_lasts_as_long_as_asked_for_and_the_voice_stays(speech, pace):
    wave, rate = speech
    paced = said(wave, rate, pace, rate // 5)
    assert len(paced) == pytest.approx(len(wave) / pace, rel=0.01)
    pitches = [median_pitch(audio.resample(each, rate, SAMPLE_RATE)) for each in (paced, wave)]
    assert pitches[0] == pytest.approx(pitches[1], rel=0.03)
    assert audio.speech_level(paced, rate) == pytest.approx(audio.speech_level(wave, rate), abs=1.5)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pace", PACES)
def test_a_low_voice_stays_low(rate, pace):
    """A buzz: of low speech at four times its pace hardly a window is periodic, and the median is of the highest parts."""
    buzz = (np.arange(6 * rate) * 101 / rate % 1 < 0.05).astype(np.float32) * 0.3
    paced = said(buzz, rate, pace, rate // 5)
    assert median_pitch(audio.resample(paced, rate, SAMPLE_RATE)) == pytest.approx(101, rel=0.01)


@pytest.mark.parametrize("pace", PACES)
def test_it_does_not_matter_how_the_sound_was_cut(speech, pace):
    wave, rate = speech
    whole = said(wave[: rate * 2], rate, pace, len(wave))
    np.testing.assert_array_equal(said(wave[: rate * 2], rate, pace, 777), whole)


def test_a_pace_of_one_changes_nothing(speech):
    wave, rate = speech
    tempo = Tempo(1.0, rate)
    assert tempo.push(wave) is wave
    assert len(tempo.finish()) == 0


@pytest.mark.parametrize("pace", [0.8, 1.25])
def test_the_first_piece_of_a_stream_is_heard_at_once(speech, pace):
    wave, rate = speech
    assert len(Tempo(pace, rate).push(wave[: rate // 10])) >= 0.02 * rate


def test_nothing_is_nothing():
    tempo = Tempo(2.0, 16_000)
    assert len(tempo.push(np.zeros(0, np.float32))) == len(tempo.finish()) == 0


@pytest.mark.parametrize("pace", [0.2, 4.1, 0.0, -1.0, float("nan")])
def test_other_paces_are_refused(pace):
    with pytest.raises(UserError, match=r"The pace is .*: choose 0\.25 \(slow\) to 4 \(fast\)\."):
        Tempo(pace, 16_000)
