from __future__ import annotations

import pytest

from rosella.shown import lines_shown, meant, shown


@pytest.mark.parametrize(
    "text", ["a\nb", "\x1b[2J", "\udcff.wav", "é\t'\"\\ \0", "zé", r"a\nb", r"C:\x", "\u202e", "'", ""]
)
def test_what_is_shown_can_be_printed_and_read_back(text):
    assert shown(text).isprintable()
    assert meant(shown(text)) == text or text.isprintable()


def test_lines_stay_lines():
    assert lines_shown("one\ntwo\r\x07") == "one\ntwo\\r\\x07"
