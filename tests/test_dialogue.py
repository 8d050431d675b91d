from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosella import dialogue
from rosella.errors import UserError


def test_tags_become_single_bytes_and_letters_stay_utf8():
    ids = dialogue.encode("[S1] Hé, [S4](laughs)")
    assert ids.dtype == np.int32
    assert ids.tolist() == [1, 32, 72, 0xC3, 0xA9, 44, 32, 4, *b"(laughs)"]
    assert dialogue.decode([*ids, 0, 0]) == "[S1] Hé, [S4](laughs)"


def test_decomposed_letters_and_line_breaks_are_normalised():
    assert dialogue.normalise("e\u0301\r\n\u2028a\tb") == "é   a b"


@pytest.mark.parametrize("spoken", ["", "  ", "\n", "[S1]", "[S1] [S2] "])
def test_nothing_to_say_is_refused(spoken):
    with pytest.raises(UserError, match="empty"):
        dialogue.encode(spoken)


@pytest.mark.parametrize("tag", ["[S5]", "[S0]", "[S12]", "[s1]", "[S 1]"])
def test_unknown_tags_are_named(tag):
    with pytest.raises(UserError, match="unknown") as error:
        dialogue.encode(f"[S1] yes {tag} no")
    assert tag in str(error.value)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x04", "\x1b", "\x7f", "\x85", "\ud800"])
def test_control_characters_are_refused(character):
    with pytest.raises(UserError, match=rf"U\+{ord(character):04X}"):
        dialogue.encode(f"a{character}b")


def test_a_literal_pad_is_refused():
    with pytest.raises(UserError, match="<pad>"):
        dialogue.encode("a <pad> b")


def test_long_text_is_rejected_not_cut():
    assert len(dialogue.encode("é" * 5, limit=10)) == 10
    with pytest.raises(UserError, match="10 bytes .* at most 9"):
        dialogue.encode("é" * 5, limit=9)


def test_speaker_tags_in_order():
    assert dialogue.speaker_tags("[S2] a [S1] b [S2] c [S9]") == ["[S2]", "[S1]", "[S2]"]


def test_padding_a_batch():
    ids, lengths = dialogue.pad_batch([np.array([1, 2, 3], np.int32), np.array([4], np.int32)])
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert lengths.tolist() == [3, 1]
    assert dialogue.pad_batch([np.array([4], np.int32)], 3)[0].tolist() == [[4, 0, 0]]


@given(st.text(min_size=1))
def test_what_is_accepted_round_trips(spoken):
    try:
        ids = dialogue.encode(spoken)
    except UserError:
        return
    assert ids.min() >= 1
    assert (
        dialogue.decode(ids) == dialogue.normalise(spoken) == dialogue.normalise(dialogue.normalise(spoken))
    )
    assert unicodedata.is_normalized("NFC", dialogue.decode(ids))
