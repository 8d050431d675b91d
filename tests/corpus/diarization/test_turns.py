from __future__ import annotations

from rosella.corpus.diarization.turns import speaker_name


def test_names_of_speakers():
    assert [speaker_name(n) for n in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]
