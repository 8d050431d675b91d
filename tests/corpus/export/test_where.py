from __future__ import annotations

import pytest

from rosella.corpus.export.where import Condition, choose, implied_conditions
from rosella.errors import UserError
from rosella.records import Recording, Utterance

RECORDING = Recording("r", "/r.wav", 60.0, 16000, 1, show="tafel", language="nl", licence="CC0")
SURE = Utterance("a", "r", 0, 1, "[S1] ja", confidence=-0.1, language="nl")
UNSURE = Utterance("b", "r", 1, 2, "[S1] nee", confidence=-0.2, language="en")
GIVEN = Utterance("c", "r", 2, 3, "[S1] goed")


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("language=nl", "ac"),
        ("language != nl", "b"),
        ("licence=CC0", "abc"),
        ("consent=yes", ""),
        ("consent!=no", "abc"),
        ("show=tafel", "abc"),
        ("confidence>=-0.15", "ac"),
        ("confidence<=-0.15", "bc"),
    ],
)
def test_what_conditions_choose(written, left):
    found = choose(RECORDING, [SURE, UNSURE, GIVEN], [Condition.parse(written)])
    assert "".join(utterance.id for utterance in found) == left


def test_several_conditions_must_all_hold():
    conditions = [Condition.parse("language=nl"), Condition.parse("confidence>=-0.05")]
    assert choose(RECORDING, [SURE, UNSURE, GIVEN], conditions) == [GIVEN]


def test_what_a_recogniser_guessed_is_not_chosen_unless_asked_for():
    everything = [SURE, UNSURE, GIVEN]
    assert choose(RECORDING, everything, implied_conditions([])) == [SURE, GIVEN]
    assert choose(RECORDING, everything, implied_conditions([Condition.parse("language=nl")])) == [
        SURE,
        GIVEN,
    ]
    assert implied_conditions([Condition.parse("confidence>=-9")]) == []


@pytest.mark.parametrize(
    "written", ["", "language", "colour=red", "language>=nl", "confidence=high", "a=b=c"]
)
def test_what_is_no_condition_is_refused(written):
    with pytest.raises(UserError, match="The condition"):
        Condition.parse(written)
