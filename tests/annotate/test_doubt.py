from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rosella.annotate import doubt
from rosella.annotate.doubt import FEATURES, Doubt, features, fit, length_in_words
from rosella.records import Turn, Utterance

SURE = Utterance(
    "u",
    "r",
    10.0,
    16.0,
    "[S1] eh dank je wel voor de koffie en het brood [S2] ja, ja, graag gedaan en tot morgen",
    "[S1] Dank je wel voor de koffie en het brood [S2] Ja, ja, graag gedaan en tot morgen",
    ("A", "B"),
    "A",
    "nl",
    confidence=-0.01,
    transcript_source="model",
)
HEARD = [Turn(10.1, 13.1, "A", ""), Turn(13.1, 15.9, "B", "")]
PACE = 14.0


def named(utterance=SURE, heard=HEARD) -> dict[str, float]:
    return dict(zip(FEATURES, features(utterance, heard, PACE), strict=True))


def rate(utterance=SURE, heard=HEARD) -> float:
    return float(Doubt().rates(features(utterance, heard, PACE)[None])[0])


def test_what_is_sure_and_in_order_is_hardly_doubted():
    assert named() == pytest.approx(
        {**dict.fromkeys(FEATURES, 0.0), "always": 1.0, "unsure": 0.083, "speakers": named()["speakers"]}
    )
    assert named()["speakers"] < 0.1
    assert rate() < 0.09
    assert Doubt().reasons(features(SURE, HEARD, PACE)) == []


ODD = {
    "unsure": (replace(SURE, confidence=-0.3), HEARD),
    "disagreement": (replace(SURE, text_clean="[S1] Dank je voor de thee [S2] Graag gedaan en tot gisteren"), HEARD),
    "pace": (replace(SURE, text="[S1] dank je [S2] ja", text_clean="[S1] Dank je [S2] ja"), HEARD),
    "speakers": (SURE, [Turn(10.1, 15.9, "A", "")]),
    "short": (SURE, [*HEARD, Turn(15.9, 16.2, "A", ""), Turn(16.0, 16.2, "B", ""), Turn(9.9, 10.05, "B", "")]),
    "overlap": (SURE, [*HEARD, Turn(16.5, 18.0, "", "", overlap=True)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_seen_doubted_and_told(name):
    assert named(*ODD[name])[name] > named()[name] + 0.2
    assert rate(*ODD[name]) > 1.15 * rate()
    assert doubt._REASONS[name] in Doubt().reasons(features(*ODD[name], PACE))


def test_what_rules_explain_is_no_disagreement():
    assert named(replace(SURE, text=SURE.text.replace("eh", "eh eh uhm (laughs)")))["disagreement"] == 0
    assert named(replace(SURE, text_clean=None))["disagreement"] == 0


def test_an_overlap_far_away_does_not_matter():
    assert named(heard=[*HEARD, Turn(18.0, 19.0, "", "", overlap=True)])["overlap"] == 0


def test_a_transcript_that_was_given_is_trusted_more_than_a_recogniser():
    assert rate(replace(SURE, confidence=None)) < rate()


def test_weights_are_learned_from_corrections():
    rng = np.random.default_rng(0)
    really = np.array([-3.0, 0.4, 0.0, 3.0, 0.0, 2.0, 0.0, 0.0])
    measured = np.column_stack([np.ones(2000), rng.gamma(1, 0.5, (2000, len(FEATURES) - 1))])
    measured[:, 2] = 0
    measured = measured[measured @ really < 0]
    words = rng.integers(10, 40, len(measured)).astype(float)
    errors = rng.poisson(words * np.exp(measured @ really)).astype(float)
    fitted = fit(measured, words, errors)
    told = [number for number in range(len(FEATURES)) if number != 2]
    assert fitted.weights[told] == pytest.approx(really[told], abs=0.25)
    assert fitted.clips == len(measured)


def test_few_corrections_change_little_and_a_bad_recogniser_much():
    few = fit(np.array([features(SURE, HEARD, PACE)]), np.array([20.0]), np.array([3.0]))
    assert np.abs(few.weights - doubt.PRIOR).max() < 0.5
    bad = fit(np.array([features(SURE, HEARD, PACE)] * 50), np.full(50, 20.0), np.full(50, 8.0))
    assert bad.rates(features(SURE, HEARD, PACE)[None])[0] == pytest.approx(0.4, abs=0.03)


def test_nobody_makes_more_errors_than_there_are_words():
    found = fit(np.array([features(SURE, HEARD, PACE)] * 50), np.full(50, 20.0), np.full(50, 60.0))
    assert np.isfinite(found.weights).all()
    assert found.rates(features(SURE, HEARD, PACE)[None])[0] == 1.0


def test_tags_count_as_words_and_what_is_missing_too():
    assert length_in_words("[S1] eh ja (laughs)") == 5
