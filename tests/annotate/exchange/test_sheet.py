from __future__ import annotations

import pytest

from rosella.annotate.exchange.sheet import Line, decided, folded, in_turn, written_names
from rosella.errors import UserError


def line(start, end, speaker="Anna"):
    return Line(start, end, speaker, "ja")


def test_lines_of_a_speaker_follow_each_other_and_keep_their_places():
    lines = [line(0, 1000), line(970, 990), line(960, 1500, "Ben"), line(980, 2000)]
    assert in_turn(lines) == [line(0, 1000), line(1000, 1001), line(960, 1500, "Ben"), line(1001, 2000)]
    assert in_turn(lines[::-1]) == in_turn(lines)[::-1]


def test_every_speaker_has_a_name_of_their_own_that_no_other_tier_has():
    names = written_names(
        ["Anna", "Anna  B", "Anna B", "COMMENT", "OVERLAP", "Anna (clean)", "VERDICT_", "VERDICT"]
    )
    assert list(names.values()) == [
        "Anna", "Anna B", "Anna B_", "COMMENT_", "OVERLAP_", "Anna (clean)_", "VERDICT_", "VERDICT__",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", (None, None)),
        ("accepted", ("accepted", None)),
        ("Rejected: muziek: hard", ("rejected", "muziek: hard")),
        ("rejected", ("rejected", None)),
        ("rejected:", ("rejected", None)),
        ("second", ("second", None)),
    ],
)
def test_verdicts(text, meaning):
    assert decided(text, 0) == meaning


@pytest.mark.parametrize("text", ["ok", "accepted: yes", "second thoughts", "unaccepted"])
def test_what_is_no_verdict_is_refused_with_its_place(text):
    with pytest.raises(UserError, match=rf"at 1\.5 s the verdict '{text}' is none of accepted"):
        decided(text, 1500)


def test_a_text_is_on_one_line_and_holds_nothing_that_a_file_cannot():
    assert folded(" a\n\u2028b\u00a0 c\x00\x01 \ufffe d\u200be ") == "a b c d\u200be"
    assert folded(None) == ""
