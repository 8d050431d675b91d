from __future__ import annotations

import random

import pytest

from rosella.asr.prepare.cutting import Heard, cut
from rosella.corpus.steps.segment import Cutting
from rosella.records import OVERLAP_TOLERANCE, Turn


def heard(*turns):
    """(start, end, speaker, text[, fault])."""
    return [Heard(Turn(*turn[:4]), *turn[4:]) for turn in turns]


def cut_all(turns, duration=100.0, **cutting):
    return cut("rec", turns, duration, "nl", Cutting(**cutting))


def test_overlapping_turns_stay_together_in_the_order_they_begin():
    turns = heard(
        (4.0, 6.0, "anna", "en dus"),
        (1.0, 4.0, "anna", "ik ging"),
        (3.0, 3.6, "ben", "ja"),
        (5.5, 7.0, "ben", "o"),
    )
    (utterance,), rejects = cut_all(turns)
    assert utterance.text == "[S1] ik ging [S2] ja [S1] en dus [S2] o"
    assert (utterance.speakers, utterance.start, utterance.end) == (("anna", "ben"), 0.9, 7.1)
    assert utterance.id == "rec-00000900-00007100"
    assert not rejects


def test_tags_restart_in_every_example():
    turns = heard((0.0, 6.0, "anna", "een."), (6.5, 9.0, "ben", "twee."), (9.2, 15.0, "cor", "drie."))
    utterances, _ = cut_all(turns, max_seconds=10.0)
    assert [u.text for u in utterances] == ["[S1] een. [S2] twee.", "[S1] drie."]
    assert utterances[1].speakers == ("cor",)


def test_a_full_example_ends_with_a_sentence_rather_than_inside_one():
    turns = heard(
        (0, 3, "a", "een twee"), (3, 6, "a", "drie."), (6, 9, "a", "vier vijf"), (9, 12, "a", "zes.")
    )
    utterances, _ = cut_all(turns, max_seconds=10.0)
    assert [u.text for u in utterances] == ["[S1] een twee drie.", "[S1] vier vijf zes."]


def test_a_fault_takes_what_overlaps_with_it_and_parts_the_rest():
    turns = heard(
        (0, 2, "a", "een"),
        (2, 4, "b", "", "unintelligible word (xxx)"),
        (3, 5, "a", "twee"),
        (5.2, 7, "a", "drie"),
    )
    utterances, rejects = cut_all(turns)
    assert [(u.text, u.start, u.end) for u in utterances] == [("[S1] een", 0.0, 2.0), ("[S1] drie", 5.1, 7.1)]
    assert [(r.start, r.end, r.reason) for r in rejects] == [(2, 5, "unintelligible word (xxx)")]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([(0, 31, "a", "x")], "longer than 30 s"),
        ([(0, 20, "a", "x"), (15, 35, "b", "y")], "longer than 30 s"),
        ([(0, 0.05, "a", "x")], "shorter than 0.1 s"),
        ([(2, 2, "a", "x")], "without length"),
        ([(3, 2, "a", "x")], "without length"),
        ([(-1, 2, "a", "x")], "without length"),
        ([(90, 101, "a", "x")], "ends after the audio"),
        ([(200, 210, "a", "x")], "ends after the audio"),
        ([(0, 2, s, "x") for s in "abcde"], "more than 4 speakers"),
    ],
)
def test_rejects_have_a_reason(turns, reason):
    utterances, (reject,) = cut_all(heard(*turns))
    assert not utterances
    assert reason in reject.reason


def test_a_long_pause_and_a_fifth_speaker_end_an_example():
    utterances, _ = cut_all(heard((0, 1, "a", "een"), (3.5, 4, "a", "twee")))
    assert len(utterances) == 2
    turns = [(i, i + 1, speaker, "ja") for i, speaker in enumerate("abcde")]
    assert [u.text for u in cut_all(heard(*turns))[0]] == ["[S1] ja [S2] ja [S3] ja [S4] ja", "[S1] ja"]


def test_text_and_audio_always_agree():
    """Whatever the turns: a turn that touches a span is in its text whole, and every turn is used once or rejected."""
    chance = random.Random(4)
    for _ in range(200):
        turns, now = [], 0.0
        for number in range(chance.randint(1, 40)):
            start = round(now + chance.uniform(-2, 3), 3)
            end = round(max(start, 0) + chance.uniform(0.2, 8), 3)
            turns.append(
                Turn(max(start, 0.0), end, chance.choice("abcdef"), f"w{number}" + chance.choice(" ."))
            )
            now = end
        utterances, rejects = cut_all([Heard(turn) for turn in turns], duration=400.0, max_seconds=10.0)
        used = [word.rstrip(".") for u in utterances for word in u.text.split() if word.startswith("w")]
        assert len(used) == len(set(used))
        for number, turn in enumerate(turns):
            inside = [u for u in utterances if u.start <= turn.start and turn.end <= u.end]
            touched = [
                u for u in utterances if min(u.end, turn.end) - max(u.start, turn.start) > OVERLAP_TOLERANCE
            ]
            rejected = [r for r in rejects if r.start <= turn.start and turn.end <= r.end]
            assert touched == inside
            assert len(inside) + len(rejected) == 1
            assert all(f"w{number}" in u.text.replace(".", "").split() for u in inside)
        assert all(u.end - u.start <= 10.0 + 1e-6 for u in utterances)
