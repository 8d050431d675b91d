from __future__ import annotations

from rosella.asr.evaluate import Evaluation
from rosella.asr.scores import Pair, score
from rosella.evaluate.recognition import table


def test_the_table_says_of_what_each_share_is():
    """Two fillers said and one written; two stutters written and one said."""
    pairs = [Pair("uh ja eh nee", "uh ja nee", "nl"), Pair("ga- ga naar huis", "ga- ga naar- huis", "nl")]
    summary = {**score(pairs).summary(), "compressed": 0}
    lines = table(Evaluation("verbatim", summary, {}, {}, [], {})).splitlines()[1:]
    assert len({len(line) for line in lines}) == 1
    rows = {line[:-8].strip(): line[-8:].strip() for line in lines}
    assert rows["of the fillers said, so many were written"] == "50.0%"
    assert rows["of the fillers written, so many were said"] == "100.0%"
    assert rows["of the stutters said, so many were written"] == "100.0%"
    assert rows["of the stutters written, so many were said"] == "50.0%"
