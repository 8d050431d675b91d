from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosella import text
from rosella.errors import UserError


def test_tags_become_single_bytes_and_letters_stay_utf8():
    ids = text.encode("[S1] Hé, [S4](laughs)")
    assert ids.dtype == np.int32
    assert ids.tolist() == [1, 32, 72, 0xC3, 0xA9, 44, 32, 4, *b"(laughs)"]
    assert text.decode([*ids, 0, 0]) == "[S1] Hé, [S4](laughs)"


def test_decomposed_letters_and_line_breaks_are_normalised():
    assert text.normalise("e\u0301\r\n\u2028a\tb") == "é   a b"


@pytest.mark.parametrize("spoken", ["", "  ", "\n", "[S1]", "[S1] [S2] "])
def test_nothing_to_say_is_refused(spoken):
    with pytest.raises(UserError, match="empty"):
        text.encode(spoken)


@pytest.mark.parametrize("tag", ["[S5]", "[S0]", "[S12]", "[s1]", "[S 1]"])
def test_unknown_tags_are_named(tag):
    with pytest.raises(UserError, match="unknown") as error:
        text.encode(f"[S1] yes {tag} no")
    assert tag in str(error.value)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x04", "\x1b", "\x7f", "\x85", "\ud800"])
def test_control_characters_are_refused(character):
    with pytest.raises(UserError, match=rf"U\+{ord(character):04X}"):
        text.encode(f"a{character}b")


def test_a_literal_pad_is_refused():
    with pytest.raises(UserError, match="<pad>"):
        text.encode("a <pad> b")


def test_long_text_is_rejected_not_cut():
    assert len(text.encode("é" * 5, limit=10)) == 10
    with pytest.raises(UserError, match="10 bytes .* at most 9"):
        text.encode("é" * 5, limit=9)


def test_speaker_tags_in_order():
    assert text.speaker_tags("[S2] a [S1] b [S2] c [S9]") == ["[S2]", "[S1]", "[S2]"]


def test_padding_a_batch():
    ids, lengths = text.pad_batch([np.array([1, 2, 3], np.int32), np.array([4], np.int32)])
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert lengths.tolist() == [3, 1]
    assert text.pad_batch([np.array([4], np.int32)], 3)[0].tolist() == [[4, 0, 0]]


@given(st.text(min_size=1))
def test_what_is_accepted_round_trips(spoken):
    try:
        ids = text.encode(spoken)
    except UserError:
        return
    assert ids.min() >= 1
    assert text.decode(ids) == text.normalise(spoken) == text.normalise(text.normalise(spoken))
    assert unicodedata.is_normalized("NFC", text.decode(ids))
