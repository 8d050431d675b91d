from __future__ import annotations

import pytest

from rosella.asr.scores import Pair, by_speaker, loops, score, stutters
from rosella.corpus.words import plain_words, words


def summary(reference: str, hypothesis: str, language: str = "nl") -> dict:
    return score([Pair(reference, hypothesis, language)]).summary()


def test_tags_and_events_are_words_and_punctuation_is_not():
    assert words("[S1] Ja, (laughs) dat... [S2] be- zo'n") == [
        "[S1]",
        "ja",
        "(laughs)",
        "dat",
        "[S2]",
        "be-",
        "zo'n",
    ]
    assert plain_words("[S1] Ja, (clears throat) dat") == ["ja", "dat"]


def test_word_errors_count_tags_only_where_they_should():
    found = summary("[S1] Ja. [S2] Nee.", "[S1] ja nee")
    assert found["wer"] == pytest.approx(1 / 4)
    assert found["wer_plain"] == 0


def test_rates_are_summed_before_they_are_divided():
    pairs = [Pair("een twee drie vier vijf zes", "een twee drie vier vijf zes"), Pair("zeven", "acht")]
    assert score(pairs).summary()["wer"] == pytest.approx(1 / 7)


def test_word_errors_agree_with_jiwer():
    import jiwer

    reference, hypothesis = "de kat zit op de rode mat vandaag", "de kat op een rode mat van daag"
    assert summary(reference, hypothesis)["wer"] == pytest.approx(jiwer.wer(reference, hypothesis))
    assert summary(reference, hypothesis)["cer"] == pytest.approx(jiwer.cer(reference, hypothesis))


def test_fillers_are_found_in_their_place():
    found = summary("[S1] eh ik uhm wil graag naar huis", "[S1] eh ik wil graag naar huis uhm uhm")
    assert found["filler_recall"] == pytest.approx(1 / 2)
    assert found["filler_precision"] == pytest.approx(1 / 3)
    assert summary("ik wil", "ik wil")["filler_recall"] is None


def test_fillers_are_those_of_the_language():
    assert summary("er is er een", "er is er een", "nl")["filler_recall"] is None
    assert summary("er is er een", "er is er een", "en")["filler_recall"] == 1


def test_stutters_are_broken_words_and_repeats_that_are_not_meant():
    assert stutters(["ik", "ik", "be-", "begin", "nee", "nee"]) == [True, False, True, False, False, False]
    found = summary("ik ik be- begin", "ik begin begin")
    assert found["stutter_recall"] == 0
    assert summary("ik ik be- begin", "ik ik begin")["stutter_recall"] == pytest.approx(1 / 2)


def test_speakers_may_be_numbered_otherwise_but_not_mixed_up():
    assert summary("[S1] ja hoor [S2] nee", "[S2] ja hoor [S1] nee")["cpwer"] == 0
    assert summary("[S1] ja hoor [S2] nee", "[S1] ja [S2] hoor nee")["cpwer"] == pytest.approx(2 / 3)
    one = summary("[S1] ja hoor [S2] nee", "[S1] ja hoor nee")
    assert one["cpwer"] == pytest.approx(2 / 3)
    assert one["speaker_count_right"] == 0


def test_speakers_words_are_joined_in_order():
    assert by_speaker("[S1] een [S2] twee [S1] drie") == [["een", "drie"], ["twee"]]
    assert by_speaker("") == []


def test_events_are_matched_by_kind():
    assert summary("(laughs) ja (coughs)", "ja (laughs) (laughs)")["event_f1"] == pytest.approx(2 * 1 / 4)


def test_a_loop_is_a_phrase_again_and_again_that_was_not_said():
    assert loops("dat is het dat is het dat is het dat is het ja") == 1
    assert loops("ja ja ja") == 0
    assert summary("nee nee nee nee nee", "nee nee nee nee nee")["loops"] == 0
    assert summary("nee", "nee nee nee nee nee")["loops"] == 1


def test_nothing_written_is_wholly_wrong():
    found = summary("[S1] ja hoor", "")
    assert found["wer"] == 1 and found["cpwer"] == 1
