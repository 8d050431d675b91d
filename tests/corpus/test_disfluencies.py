from __future__ import annotations

import json
from pathlib import Path

import pytest

from rosella import mini
from rosella.corpus.disfluencies import events, fillers, remove_disfluencies

NL = fillers("nl")


@pytest.mark.parametrize(
    ("verbatim", "expected"),
    [
        ("Eh, dank je wel.", "Dank je wel."),
        ("En, uhm, hoe vroeg begin je dan?", "En, hoe vroeg begin je dan?"),
        ("ja ik ga uh.", "ja ik ga."),
        ("Uh. Dat is goed.", "Dat is goed."),
        ("Dat geloof ik (laughs) meteen.", "Dat geloof ik meteen."),
        ("d- dat is n- nee (clears throat) goed", "dat is nee goed"),
        ("zon- en feestdagen", "zon- en feestdagen"),
        ("Ik, ik, ik begin om vijf uur.", "Ik begin om vijf uur."),
        ("ik denk ik denk dat het kan", "ik denk dat het kan"),
        ("en toen was en toen was het op", "en toen was het op"),
        ("nee nee dat dat kan heel heel goed", "nee nee dat dat kan heel heel goed"),
        ("Hij kwam. Kwam hij?", "Hij kwam. Kwam hij?"),
        ("het is uh het is klaar", "het is klaar"),
        ("uhm (laughs) eh", ""),
        ("'s ochtends, 's ochtends vroeg ...", "'s ochtends vroeg..."),
        ("[S1] Uh, ja. [S2] mm [S1] Goed, uh, goed.", "[S1] Ja. [S1] Goed."),
    ],
)
def test_each_rule(verbatim, expected):
    assert remove_disfluencies(verbatim, NL) == expected


def test_a_variety_has_the_fillers_of_its_language_and_er_is_a_word_in_dutch():
    assert fillers("vl") == NL
    assert remove_disfluencies("er is er een", NL) == "er is er een"
    assert remove_disfluencies("it is er one", fillers("en")) == "it is one"
    assert remove_disfluencies("uhm mi ta", fillers("pap")) == "mi ta"


def test_events_are_found_in_their_order():
    assert events("[S1] ja (laughs) nee (clears throat)") == ["(laughs)", "(clears throat)"]


def test_clean_text_stays_as_it_is_and_nearly_all_of_the_podcast_comes_out_as_scripted():
    manifest = Path(mini.__file__).parent / "podcast" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    turns = [(line["language"], turn) for line in lines for turn in line["turns"]]
    for language, turn in turns:
        assert remove_disfluencies(turn["text_clean"], fillers(language)) == turn["text_clean"]
    agreed = [
        remove_disfluencies(turn["text"], fillers(language)) == turn["text_clean"] for language, turn in turns
    ]
    assert sum(agreed) >= 0.98 * len(agreed)
