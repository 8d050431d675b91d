"""Turns of dialogues, found by reading along and told by their voices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from evaluate.synthetic_speech import sentence
from rosella import dialogue
from rosella.evaluate import turns
from rosella.evaluate.identity import Voices
from rosella.inference.reading import Followed

RATE, HOP = 16_000, 320
LOW, HIGH = sentence("aeiouaeiouaeiou", 100.0), sentence("uoieauoieauoiea", 260.0, formant_shift=1.3)


class Speaker:
    """Knows that each byte of a text takes as long as the others."""

    codec = SimpleNamespace(sample_rate=RATE, frame_rate=RATE / HOP)

    def follow(self, ids, codes):
        places = np.arange(len(codes)) * len(ids) // len(codes)
        return Followed(places, np.ones(len(codes), np.float32))


def said(text: str, *waves: np.ndarray) -> list[turns.Turn]:
    """The turns of a text of words of one length, each turn as long as the others."""
    length = min(map(len, waves)) // HOP * HOP
    wave = np.concatenate([each[:length] for each in waves])
    return turns.turns(Speaker(), text, np.zeros((len(wave) // HOP, 8), np.uint16), wave)


def test_turns_are_where_the_model_reads_them():
    found = said("[S1] aaaa bbbb [S2] cccc dddd", LOW, HIGH)
    assert [tag for tag, _ in found] == ["S1", "S2"]
    ids = dialogue.encode("[S1] aaaa bbbb [S2] cccc dddd")
    for (_, wave), whole in zip(found, (LOW, HIGH), strict=True):
        assert len(wave) == pytest.approx(9 / len(ids) * 2 * len(whole), rel=0.1)


def test_turns_of_one_speaker_in_a_row_are_one_and_a_pause_is_no_turn():
    assert [tag for tag, _ in said("[S1] aaaa [S1] bbbb [pause:1s] [S2] cccc", LOW, HIGH)] == ["S1", "S2"]
    assert turns.turns(Speaker(), "[S1] a [S2] b", np.zeros((0, 8), np.uint16), np.zeros(0, np.float32)) == []


@pytest.mark.parametrize(
    ("voices", "right"),
    [((LOW, HIGH), 1.0), ((HIGH, LOW), 0.0), ((LOW, LOW), 0.5), ((LOW, 0 * LOW), 0.5)],
    ids=["right", "exchanged", "one voice", "one is silent"],
)
def test_each_turn_belongs_to_the_nearest_voice_of_the_clip(voices, right):
    tell = Voices()
    known = turns.by_tag(tell, said("[S1] eeee ffff [S2] gggg hhhh", LOW, HIGH))
    assert set(known) == {"S1", "S2"}
    assert turns.share_right(tell, said("[S1] aaaa bbbb [S2] cccc dddd", *voices), known) == right


def test_nothing_is_told_where_no_two_voices_are_known():
    tell, found = Voices(), said("[S1] aaaa bbbb [S2] cccc dddd", LOW, HIGH)
    assert turns.share_right(tell, found, {"S1": tell.embedding(LOW)}) is None
    assert turns.share_right(tell, [], turns.by_tag(tell, found)) is None
