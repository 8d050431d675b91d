from __future__ import annotations

import pytest

from rosella.asr.prepare.notation import CGN, PLAIN, Tally, load_notation
from rosella.errors import UserError


def test_codes_of_cgn_become_the_projects_notation_and_are_counted():
    tally = Tally()
    written = "d*a dat is ggg. heel*d cool*v , n*a... Ggg ja ?"
    assert CGN.verbatim(written, tally) == "d- dat is (laughs). heel cool, n-... (laughs) ja?"
    assert tally == {"ggg → (laughs)": 2, "*a → -": 2, "*d → left out": 1, "*v → left out": 1}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("dat is xxx goed", r"unintelligible word \(xxx\)"),
        ("dat is Xxx.", r"unintelligible word \(xxx\)"),
        ("dat is*q goed", r"unknown code \(\*q\)"),
        ("ja (slaat deur dicht) nee", r"unlisted event \(slaat deur dicht\)"),
        ("ja [S5] nee", r"unlisted event \(s5\)"),
        ("ja \a nee", "control character"),
    ],
)
def test_what_cannot_be_written_down_is_refused_with_its_reason(written, reason):
    with pytest.raises(UserError, match=reason):
        CGN.verbatim(written, Tally())


def test_events_are_kept_however_they_are_bracketed():
    tally = Tally()
    assert PLAIN.verbatim("ja<laughter> (Clears Throat)  [lacht]nee", tally) == (
        "ja (laughs) (clears throat) (laughs) nee"
    )
    assert sum(tally.values()) == 3


def test_speaker_tags_stay_and_a_turn_without_words_is_nothing():
    assert PLAIN.verbatim("[S1] ja [S2] nee", Tally()) == "[S1] ja [S2] nee"
    assert PLAIN.verbatim(" ... ", Tally()) == ""


def test_a_notation_file_changes_what_it_names(tmp_path):
    path = tmp_path / "notation.yaml"
    path.write_text('labels: {"deur": "", "hoest": "(coughs)"}\nunintelligible: ["+++"]\n')
    notation = load_notation(path, CGN)
    assert notation.verbatim("ja [deur] <hoest> ggg", Tally()) == "ja (coughs) (laughs)"
    with pytest.raises(UserError, match="unintelligible"):
        notation.verbatim("ja +++", Tally())


@pytest.mark.parametrize(
    ("content", "message"),
    [("event: []", "wrong key event"), ("- a", "no YAML mapping"), ("a: [", "no YAML mapping")],
)
def test_a_wrong_notation_file_is_refused(tmp_path, content, message):
    path = tmp_path / "notation.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_notation(path, PLAIN)
    with pytest.raises(UserError, match="Cannot read the notation"):
        load_notation(tmp_path / "missing.yaml", PLAIN)
