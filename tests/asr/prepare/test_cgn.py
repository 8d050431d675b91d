from __future__ import annotations

import gzip

import pytest

from asr.prepare.sources import SKP, save_cgn, save_gzipped
from rosella.asr.prepare import cgn
from rosella.asr.prepare.notation import Tally
from rosella.errors import UserError
from rosella.records import Turn


@pytest.fixture
def delivered(tmp_path):
    return save_cgn(tmp_path / "CGN_2.0.3")


def test_the_corpus_is_found_from_its_folder_its_parent_and_data_itself(delivered, tmp_path):
    assert cgn.find(delivered) == cgn.find(delivered / "data") == cgn.find(tmp_path) == delivered / "data"
    assert cgn.find(delivered / "data/audio") is None


def test_recordings_are_named_by_component_and_language(delivered):
    assert [(r.name, r.language) for r in cgn.read(delivered / "data")] == [
        ("comp-a/nl/fn000248", "nl"),
        ("comp-k/vl/fv600001", "vl"),
    ]


def test_chunks_become_turns_with_punctuation_and_codes(delivered):
    dutch, _ = cgn.read(delivered / "data")
    tally = Tally()
    audio, turns = dutch.read(tally)
    assert audio == delivered / "data/audio/wav/comp-a/nl/fn000248.wav"
    assert turns == [
        Turn(0.251, 2.25, "N01168", "d*a dus uh"),
        Turn(2.25, 4.1, "N01168", "België..."),
        Turn(3.9, 4.6, "N01169", "ggg ja."),
        Turn(5.0, 7.0, "N01168", "Xxx zeg"),
        Turn(7.0, 9.0, "N01169", "cool*v hè?"),
        Turn(9.4, 11.0, "UNKNOWN", "R&B"),
    ]
    assert tally == {"recordings with the layer pri": 1, "recordings with the layer tag": 1}


def test_a_recording_without_the_other_layers_has_its_words_still(delivered):
    _, flemish = cgn.read(delivered / "data")
    tally = Tally()
    _, turns = flemish.read(tally)
    assert [turn.text for turn in turns] == ["d dus uh", "België", "ggg ja", "Xxx zeg", "cool*v hè", "R&B"]
    assert tally["recordings without the layer pri"] == 1


def test_words_that_the_tagging_calls_unintelligible_are_marked(delivered):
    tag = delivered / "data/annot/xml/tag/comp-a/nl/fn000248.tag.gz"
    content = gzip.decompress(tag.read_bytes()).decode()
    save_gzipped(tag, content.replace("BW()", "SPEC(onverst)"))
    _, turns = next(cgn.read(delivered / "data")).read(Tally())
    assert turns[0].text == "d*a xxx uh"


def test_unzipped_files_are_read_too(delivered):
    path = delivered / "data/annot/xml/skp-ort/comp-a/nl/fn000248.skp.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    assert len(next(cgn.read(delivered / "data")).read(Tally())[1]) == 6


@pytest.mark.parametrize(
    "damage", [lambda b: b[:100], lambda b: b"plain", lambda b: gzip.compress(b"<ttext><tau>")]
)
def test_a_damaged_annotation_says_so(delivered, damage):
    path = delivered / "data/annot/xml/skp-ort/comp-a/nl/fn000248.skp.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="annotation"):
        next(cgn.read(delivered / "data")).read(Tally())


def test_a_word_without_time_is_no_turn(delivered):
    path = delivered / "data/annot/xml/skp-ort/comp-a/nl/fn000248.skp.gz"
    save_gzipped(path, SKP.replace('tb="9.400"', 'tb=""'))
    with pytest.raises(UserError, match="no time"):
        next(cgn.read(delivered / "data")).read(Tally())
