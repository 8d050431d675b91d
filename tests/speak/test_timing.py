"""Times of words: where the model looked, without the silence around it."""

from __future__ import annotations

import numpy as np

from rosella.inference.reading import Followed
from rosella.speak.script import read_script, split
from rosella.speak.timing import Heard, powers


def heard(text: str, places: list[int], loud: list[bool]) -> list[tuple[float, float, str]]:
    (piece,) = split(read_script(text), 100)
    made = Heard(piece, 1.0, np.zeros((len(places), 2), np.uint16), np.where(loud, -20.0, -60.0))
    followed = Followed(np.array(places), np.full(len(places), 0.6, np.float32))
    words = [word for part in made.words(followed, frame_rate=10.0) for word in part]
    return [(round(10 * word.start_s), round(10 * word.end_s), word.text) for word in words]


def test_silence_before_and_behind_a_word_is_none_of_it():
    #            tag    O  K  .      tag        N  o
    places = [0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 8, 9]
    loud = [False] * 4 + [True] * 2 + [False] * 4 + [True, True, False]
    assert heard("[S1] OK. [S2] No", places, loud) == [(14, 16, "OK."), (20, 22, "No")]


def test_bytes_are_counted_not_characters_and_a_word_that_was_skipped_has_no_time():
    places = [0, 1, 2, 3, 4, 5, 6, 9, 10]
    assert heard("[S1] é\u00e9 a (b c)", places, [True] * 9) == [
        (12, 16, "éé"),
        (17, 17, "a"),
        (17, 19, "(b c)"),
    ]


def test_turns_are_cut_out_as_far_as_they_were_said():
    (piece,) = split(read_script("[S1] OK. [S2] No, not me. [S3] Oh."), 100)
    codes = np.arange(14, dtype=np.uint16)[:, None]
    #                  tag    O  K  .      tag    N  o  ,      n  o  t: it ends here
    places = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14])
    followed = Followed(places, np.full(14, 0.6, np.float32))
    first, second = Heard(piece, 0.0, codes, np.zeros(14)).turns(followed, frame_rate=10.0)
    assert (first.text, first.codes[:, 0].tolist()) == ("[S1] OK.", [2, 3, 4])
    assert second.text == "[S2] No, not" and second.codes[:, 0].tolist() == [8, 9, 10, 11, 12, 13]


def test_the_power_of_frames():
    wave = np.concatenate([np.zeros(4), np.full(4, 0.1), np.full(4, 1.0)]).astype(np.float32)
    np.testing.assert_allclose(powers(wave, 4), [-120, -20, 0], atol=0.1)
