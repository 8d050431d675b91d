from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.fakes import tone
from rosella import dialogue
from rosella.corpus.steps import segment
from rosella.corpus.steps.segment import Cutting, quietest, set_end
from rosella.errors import UserError
from rosella.records import Recording, Turn

RECORDING = Recording("rec", "/r.wav", 600.0, 16000, 1, language="nl")


def cut(recording, turns, cutting, quietest=None):
    return segment.cut(recording, turns, cutting, quietest)


def say(start, end, speaker="anna", words="hallo", clean=None):
    return Turn(start, end, speaker, words, clean)


def test_neighbouring_turns_become_one_dialogue():
    utterances, rejects = cut(
        RECORDING,
        [
            say(1, 3, "ben", "eh ja"),
            say(3, 4, "ben", "nou"),
            say(4.2, 9, "anna", "nee"),
            say(9, 10, "ben", "toch"),
        ],
        Cutting(),
    )
    (utterance,) = utterances
    assert utterance.text == "[S1] eh ja nou [S2] nee [S1] toch"
    assert utterance.speakers == ("ben", "anna")
    assert utterance.main_speaker == "anna"
    assert (utterance.start, utterance.end) == (0.9, 10.1)
    assert (utterance.language, utterance.text_clean, rejects) == ("nl", None, [])


def test_tags_restart_in_every_utterance():
    utterances, _ = cut(
        RECORDING, [say(1, 3, "anna"), say(3, 4, "ben", "ja"), say(20, 21, "ben", "nee")], Cutting()
    )
    assert [u.text for u in utterances] == ["[S1] hallo [S2] ja", "[S1] nee"]
    assert utterances[1].speakers == ("ben",)


def test_utterances_end_at_turn_ends_before_the_limit():
    utterances, _ = cut(RECORDING, [say(i * 7.0, i * 7.0 + 7) for i in range(10)], Cutting(max_seconds=30))
    assert [(u.start, u.end) for u in utterances] == [(0.0, 28.0), (28.0, 56.0), (56.0, 70.1)]


def test_a_long_pause_ends_an_utterance():
    utterances, _ = cut(RECORDING, [say(1, 2), say(3.9, 5), say(7.1, 8)], Cutting(max_gap=2.0))
    assert [(u.start, u.end) for u in utterances] == [(0.9, 5.1), (7.0, 8.1)]


def test_a_fifth_speaker_starts_a_new_utterance():
    utterances, _ = cut(RECORDING, [say(i, i + 1, name) for i, name in enumerate("abcdeb")], Cutting())
    assert [u.speakers for u in utterances] == [("a", "b", "c", "d"), ("e", "b")]


def test_turns_too_long_or_short_are_rejects_with_a_reason_and_split_what_is_around():
    utterances, rejects = cut(
        RECORDING, [say(0, 2), say(2, 40), say(40, 41), say(41, 41.05), say(41.05, 43)], Cutting()
    )
    assert [(u.start, u.end) for u in utterances] == [(0.0, 2.0), (40.0, 41.0), (41.05, 43.1)]
    assert rejects[0].reason == "turn of 38.0 s is longer than 30 s and has no times inside"
    assert rejects[1].reason == "turn of 0.05 s is shorter than 0.1 s"


def test_clean_text_follows_the_verbatim_speakers():
    (utterance,), _ = cut(
        RECORDING,
        [say(0, 1, "a", "eh", clean=""), say(1, 2, "b", "d- dus", "Dus"), say(2, 3, "a", "ja")],
        Cutting(),
    )
    assert utterance.text == "[S1] eh [S2] d- dus [S1] ja"
    assert utterance.text_clean == "[S2] Dus [S1] ja"


def test_turns_outside_the_recording_are_refused():
    with pytest.raises(UserError, match="outside the recording"):
        cut(RECORDING, [say(599, 605)], Cutting())


def test_untimed_text_needs_a_short_recording():
    untimed = [say(0.0, math.inf, "anna", "[S1] hoi [S2] dag")]
    assert set_end(untimed, 12.5)[0].end == 12.5
    with pytest.raises(UserError, match="align it first"):
        set_end(untimed, 31.0)


def test_untimed_dialogue_keeps_its_own_tags():
    recording = Recording("rec", "/r.wav", 12.5, 16000, 1)
    (utterance,), _ = cut(
        recording, set_end([say(0.0, math.inf, "clip", "[S1] hoi [S2] dag")], 12.5), Cutting()
    )
    assert utterance.text == "[S1] hoi [S2] dag"
    assert utterance.speakers == ("clip S1", "clip S2")
    assert (utterance.start, utterance.end) == (0.0, 12.5)


@st.composite
def conversations(draw):
    turns, now = [], 0.0
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0.0, -0.04, 0.05, 0.3, 1.9, 2.5, 9.0]))
        start = max(now, turns[-1].start if turns else 0.0)
        now = start + draw(st.floats(0.02, 45.0))
        turns.append(say(start, now, draw(st.sampled_from("abcdef"))))
    return turns


@settings(max_examples=200, deadline=None)
@given(conversations(), st.sampled_from([3.0, 10.0, 30.0]))
def test_every_turn_is_in_one_utterance_or_rejected(turns, limit):
    recording = Recording("rec", "/r.wav", turns[-1].end + 0.03, 16000, 1)
    utterances, rejects = cut(recording, turns, Cutting(max_seconds=limit))
    spoken = sum(u.text.count("hallo") for u in utterances)
    assert spoken + len(rejects) == len(turns)
    assert len({u.id for u in utterances}) == len(utterances)
    for utterance in utterances:
        assert 0 <= utterance.start < utterance.end <= recording.duration + 1e-6
        assert utterance.end - utterance.start <= limit + 1e-9
        assert set(dialogue.speaker_tags(utterance.text)) == set(dialogue.TAGS[: len(utterance.speakers)])
        for turn in turns:
            inside = turn.start >= utterance.start - 0.0011 and turn.end <= utterance.end + 0.0011
            common = min(turn.end, utterance.end) - max(turn.start, utterance.start)
            assert inside or common <= 0.05, "the margin enters a neighbouring turn"


def heard(start, end, speaker="A"):
    """A turn of a diarizer, which knows no words."""
    return Turn(start, end, speaker, "")


def test_a_long_turn_without_words_is_divided_where_it_is_quietest():
    asked = []

    def middle(low, high):
        asked.append((low, high))
        return (low + high) / 2

    utterances, rejects = cut(RECORDING, [heard(10, 90)], Cutting(max_seconds=30), middle)
    assert asked == [(25.0, 40.0), (47.5, 62.5), (70.0, 85.0)][: len(asked)] and len(asked) >= 2
    assert all(u.end - u.start <= 30 and u.text == "" and u.transcript_source == "model" for u in utterances)
    assert (utterances[0].start, utterances[-1].end, rejects) == (9.9, 90.1, [])
    assert cut(RECORDING, [say(10, 90)], Cutting(max_seconds=30))[0] == []


def test_overlap_ends_an_utterance_and_its_sound_enters_none():
    turns = [heard(1, 3), Turn(3, 3.5, "", "", overlap=True), heard(3.5, 6, "B")]
    utterances, rejects = cut(RECORDING, turns, Cutting())
    assert [(u.start, u.end, u.speakers) for u in utterances] == [(0.9, 3, ("A",)), (3.5, 6.1, ("B",))]
    assert [(r.start, r.end, r.reason) for r in rejects] == [(3, 3.5, "several speak at once")]


def test_more_text_than_anybody_can_say_is_left_out_and_the_rest_is_used():
    turns = [
        say(1, 3, words="ja " * 6),
        say(3, 6, words="woord " * 200_000),
        say(6, 6.2, words="ja zeker hoor"),
    ]
    utterances, rejects = cut(RECORDING, turns, Cutting())
    assert [(u.start, u.end) for u in utterances] == [(0.9, 3.0), (6.0, 6.3)]
    assert [r.reason for r in rejects] == ["1200000 characters of text in 3.0 s, faster than anybody speaks"]


def test_a_recording_in_which_nobody_was_heard_is_a_reject():
    utterances, rejects = cut(RECORDING, [], Cutting())
    assert utterances == []
    assert [(r.start, r.end, r.reason) for r in rejects] == [
        (0, 600, "nobody was heard to speak in the whole recording")
    ]


def test_no_name_is_a_mark_of_overlap():
    utterances, rejects = cut(RECORDING, [say(1, 3, ""), say(3, 4, "ben", "ja")], Cutting())
    assert [(u.text, u.speakers, rejects) for u in utterances] == [("[S1] hallo [S2] ja", ("", "ben"), [])]


def test_the_ends_are_skipped_turn_by_turn_and_never_the_whole():
    turns = [heard(10 * i, 10 * i + 9, "AB"[i % 2]) for i in range(60)]
    utterances, rejects = cut(RECORDING, turns, Cutting(skip=55))
    assert utterances[0].start == pytest.approx(59.9) and utterances[-1].end == pytest.approx(539.1)
    assert len(rejects) == 12
    short = Recording("rec", "/r.wav", 40.0, 16000, 1)
    assert len(cut(short, [heard(0, 4), heard(6, 30), heard(36, 40)], Cutting(skip=80))[0]) == 1


def test_the_quietest_moment_is_the_pause(tmp_path):
    wave = np.concatenate([tone(4.0), np.zeros(4800, np.float32), tone(5.0)])
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    assert quietest(str(tmp_path / "a.wav"), 2.0, 8.0) == pytest.approx(4.15, abs=0.06)
