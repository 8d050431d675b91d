from __future__ import annotations

import math

import pytest

from rosella.errors import UserError
from rosella.records import Recording, Segment, Turn, Utterance, check_turns, content_id, utterance_id


def turns(*times):
    return [Turn(start, end, "anna", "hallo") for start, end in times]


def test_good_turns_pass():
    check_turns(turns((0, 1), (0.97, 2), (5, 10.4)), duration=10.0)


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([(0, 1), (3, 2)], "Turn 2 runs backwards"),
        ([(1, 1)], "Turn 1 runs backwards"),
        ([(0, 1), (0.9, 2)], "Turn 2 overlaps turn 1 by 0.10 s"),
        ([(4, 5), (1, 2)], "Turn 2 starts at 1.00 s, before turn 1"),
        ([(0, 1), (2, 11)], "Turn 2 ends at 11.00 s, outside the recording of 10.00 s"),
        ([(-1, 1)], "Turn 1 has no valid times"),
        ([(0, math.nan)], "Turn 1 has no valid times"),
        ([(math.inf, math.inf)], "Turn 1 has no valid times"),
    ],
)
def test_turns_that_cannot_be_are_refused(times, reason):
    with pytest.raises(UserError, match=reason):
        check_turns(turns(*times), duration=10.0)


def test_a_duration_is_only_checked_where_known():
    check_turns(turns((0, 1000)))


def test_records_survive_a_dictionary():
    recording = Recording("ab", "/x.wav", 1.5, 44100, 2, show="s", licence="CC0")
    assert Recording.from_dict({**recording.to_dict(), "other": 1}) == recording
    utterance = Utterance("ab-1", "ab", 0.0, 1.0, "[S1] é", speakers=("anna",))
    assert Utterance.from_dict(utterance.to_dict()) == utterance


def test_ids_come_from_content_and_span(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"else")
    assert content_id(tmp_path / "a") == content_id(tmp_path / "b") != content_id(tmp_path / "c")
    assert utterance_id("r", 1.2, 3.4567) == "r-00001200-00003457" == Segment("r", 1.2, 3.4567, ()).id
