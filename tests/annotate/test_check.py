"""The rules of transcripts, while somebody writes."""

from __future__ import annotations

import pytest

from rosella.annotate.check import Fault, faults_of
from rosella.records import Turn


def said(text: str, clean: str | None = None, overlap: bool = False) -> Turn:
    return Turn(0.0, 1.0, "A", text, clean, overlap)


@pytest.mark.parametrize(
    "turn",
    [
        said(""),
        said("eh, ja (laughs) nee-"),
        said("eh (clears throat) ja", "Ja."),
        said("[S5] (quatsch", overlap=True),
        said("Ça va? Größe, 你好 — “ja”…"),
    ],
)
def test_what_keeps_to_the_rules_has_no_fault(turn):
    assert faults_of([turn]) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[S2] ja", "A turn is of one speaker: split it at [S2] instead of writing it."),
        ("[S5] ja", "The speaker tag [S5] is unknown; use one of [S1], [S2], [S3], [S4]."),
        ("ja\x02", "The text holds a control character (U+0002); remove it."),
        ("a <pad>", "The text holds a literal <pad>, which other programs read as padding; remove it."),
        ("(laughs ja", "A parenthesis is not closed: write events as (laughs)."),
        ("ja [laughs]", "[laughs] would be read aloud: write events in parentheses, such as (laughs)."),
        ("(laghs) ja", "(laghs) is no event of the list: do you mean (laughs)?"),
        ("(zzzz)", "(zzzz) is no event of the list: choose one, or none."),
    ],
)
def test_each_fault_is_a_sentence(text, sentence):
    assert faults_of([said("ja"), said(text)]) == [Fault(1, "text", sentence)]
    assert Fault(0, "text_clean", sentence) in faults_of([said("ja", text)])


def test_the_clean_text_follows_the_verbatim_one():
    assert faults_of([said("ja (laughs)", "Ja (laughs).")]) == [
        Fault(0, "text_clean", "(laughs) is for the verbatim text: leave it out of the clean one.")
    ]
    assert faults_of([said(" ", "Ja.")]) == [
        Fault(0, "text", "The verbatim text is empty and the clean one is not: write what was said.")
    ]
