from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from annotate.exchange.talks import file_of, sheet_of
from asr.prepare.sources import EAF
from corpus.fakes import save_tone
from rosella.annotate.exchange import elan
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.sheet import Line, Mark, Note
from rosella.asr.prepare import elan as annotated_speech
from rosella.asr.prepare.notation import Tally
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError
from rosella.records import Turn

ELAN = FORMATS["elan"]
FIRST = (Turn(0.5, 2.0, "Anna", "eh hallo", "Hallo"), Turn(2.25, 3.0, "Ben", "", None))
SECOND = (Turn(9.5, 12.0, "Anna", "<ja> & nee", ""), Turn(12.0, 14.0, "", "", None, True))
TALK = [
    ClipState(0.0, 5.0, FIRST, "accepted"),
    ClipState(9.0, 15.0, SECOND, "rejected", "muziek", "a b"),
]


def nobody(sheet):
    return []


CHILDREN = {
    "ANNOTATION_DOCUMENT": ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"],
    "HEADER": ["MEDIA_DESCRIPTOR", "PROPERTY"],
    "TIME_ORDER": ["TIME_SLOT"],
    "TIER": ["ANNOTATION"],
    "ANNOTATION": ["ALIGNABLE_ANNOTATION", "REF_ANNOTATION"],
    "ALIGNABLE_ANNOTATION": ["ANNOTATION_VALUE"],
    "REF_ANNOTATION": ["ANNOTATION_VALUE"],
}
ATTRIBUTES = {
    "ANNOTATION_DOCUMENT": {"AUTHOR", "DATE", "FORMAT", "VERSION"},
    "HEADER": {"MEDIA_FILE", "TIME_UNITS"},
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE", "RELATIVE_MEDIA_URL"},
    "PROPERTY": {"NAME"},
    "TIME_SLOT": {"TIME_SLOT_ID", "TIME_VALUE"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "REF_ANNOTATION": {"ANNOTATION_ID", "ANNOTATION_REF"},
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID", "TIME_ALIGNABLE", "GRAPHIC_REFERENCES"},
    "CONSTRAINT": {"STEREOTYPE", "DESCRIPTION"},
}
"""The part of EAFv3.0.xsd that is written: what stands in what, in this order, with these attributes."""


def test_the_document_keeps_to_the_schema():
    root = ElementTree.fromstring(elan.write(sheet_of(TALK, ELAN)))
    for element in root.iter():
        order = CHILDREN.get(element.tag, [])
        places = [order.index(child.tag) for child in element]
        assert places == sorted(places), element.tag
        optional = {
            "PARENT_REF",
            "CONSTRAINTS",
            "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation",
        }
        assert set(element.attrib) - optional == ATTRIBUTES.get(element.tag, set())
    ids = [e.get(key) for e in root.iter() for key in ("TIME_SLOT_ID", "ANNOTATION_ID") if e.get(key)]
    names = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    assert len(ids) == len(set(ids)) and len(names) == len(set(names))
    for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2", "ANNOTATION_REF"):
        assert {e.get(key) for e in root.iter() if e.get(key)} <= set(ids)
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= types
    assert {tier.get("PARENT_REF", names[0]) for tier in root.iter("TIER")} <= set(names)
    moments = [int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")]
    assert moments == sorted(moments)


def test_tiers_are_those_of_speakers_and_of_clips():
    root = ElementTree.fromstring(elan.write(sheet_of(TALK, ELAN)))
    texts = {
        tier.get("TIER_ID"): [value.text or "" for value in tier.iter("ANNOTATION_VALUE")]
        for tier in root.iter("TIER")
    }
    assert texts == {
        "Anna": ["eh hallo", "<ja> & nee"], "Anna (clean)": ["Hallo"],
        "Ben": [""], "Ben (clean)": [], "OVERLAP": [""], "OVERLAP (clean)": [],
        "COMMENT": ["", "a b"], "VERDICT": ["accepted", "rejected: muziek"],
    }  # fmt: skip
    (medium,) = root.iter("MEDIA_DESCRIPTOR")
    assert (medium.get("MEDIA_URL"), medium.get("RELATIVE_MEDIA_URL")) == (
        "file:///audio/talk.wav",
        "./talk.wav",
    )


def test_an_exported_file_is_annotated_speech_for_a_recogniser(tmp_path):
    save_tone(tmp_path / "talk.wav", 1.0)
    path = file_of(sheet_of(TALK, ELAN), ELAN, tmp_path)
    audio, turns = annotated_speech.read(path, ("COMMENT",), Tally())
    assert audio == tmp_path / "talk.wav"
    assert [(turn.speaker, turn.text) for turn in turns] == [
        ("Anna", "eh hallo"), ("Anna", "<ja> & nee"), ("Ben", ""),
    ]  # fmt: skip


def test_what_elan_wrote_is_read(tmp_path):
    path = tmp_path / "talk.eaf"
    path.write_text(EAF.replace('"BACKGROUND"', '"COMMENT"'), "utf-8")
    (sheet,) = elan.read(path, nobody)
    assert sheet.lines == (
        Line(500, 2500, "Anna", "Uhm, wa- wat zei je?"),
        Line(2000, 4000, "Ben", "[lacht] niks <cough>"),
    )
    assert (sheet.comments, sheet.verdicts, sheet.has_clean) == ((Note(0, 6000, "verkeer"),), None, False)
    assert sheet.media[0] == "./my%20talk.wav" and sheet.mark is None


def test_the_mark_stays_when_a_file_is_renamed(tmp_path):
    path = file_of(sheet_of(TALK, ELAN), ELAN, tmp_path)
    (sheet,) = elan.read(path.rename(tmp_path / "other.eaf"), nobody)
    assert sheet.mark == Mark("a1" * 6, 7)
    assert replace(sheet, media=()) == replace(
        elan.read(file_of(sheet_of(TALK, ELAN), ELAN, tmp_path), nobody)[0], media=()
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (' TIME_VALUE="2500"', "", "a1 has no time"),
        ('TIME_VALUE="2500"', 'TIME_VALUE="x"', "no time where one belongs"),
        ("ANNOTATION_DOCUMENT", "html", "no ELAN file"),
        ("</ANNOTATION_DOCUMENT>", "", "not valid XML"),
        (
            "<ANNOTATION_DOCUMENT",
            '<!DOCTYPE x [<!ENTITY a "b">]><ANNOTATION_DOCUMENT',
            "defines XML entities",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, old, new, message):
    path = tmp_path / "talk.eaf"
    path.write_text(EAF.replace(old, new), "utf-8")
    with pytest.raises(UserError, match=message):
        elan.read(path, nobody)
