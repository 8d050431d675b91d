from __future__ import annotations

import pytest

from rosella.corpus.export.balance import Balance
from rosella.records import Utterance

SAID = {"anna": 8, "ben": 2}
UTTERANCES = [
    Utterance(f"{name}-{n}", "r", n, n + 1, "[S1] ja", main_speaker=name)
    for name, count in SAID.items()
    for n in range(count)
]


def share(weights, name):
    return sum(weight for id, weight in weights.items() if id.startswith(name)) / sum(weights.values())


@pytest.mark.parametrize(("temper", "ben"), [(0.0, 0.2), (0.5, 2**0.5 / (2**0.5 + 8**0.5)), (1.0, 0.5)])
def test_tempered_sampling_moves_speakers_towards_equal_shares(temper, ben):
    weights = Balance(temper=temper).sampling(UTTERANCES)
    assert share(weights, "ben") == pytest.approx(ben)
    assert sum(weights.values()) == pytest.approx(len(UTTERANCES))


def test_loss_weights_follow_the_effective_number():
    assert set(Balance().loss(UTTERANCES).values()) == {1.0}
    weights = Balance(beta=0.9).loss(UTTERANCES)
    ratio = weights["ben-0"] / weights["anna-0"]
    assert ratio == pytest.approx((1 - 0.9**8) / (1 - 0.9**2))


def test_an_utterance_without_a_known_speaker_counts_by_its_recording():
    unknown = [Utterance(f"x-{n}", "other", n, n + 1, "[S1] ja") for n in range(10)]
    weights = Balance(temper=1.0).sampling([*UTTERANCES, *unknown])
    assert share(weights, "x") == pytest.approx(1 / 3)
