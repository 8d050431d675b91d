"""Scripts that are still being written: what is settled is handed out at once, and in the end all of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.script import read_script
from rosella.speak.writing import pieces_written
from speak.test_script import DIALOGUES


def heard(*fragments: str, limit: int = 100) -> list[tuple[int, str]]:
    """Each piece behind the number of fragments that had to be read for it."""
    read = 0

    def written():
        nonlocal read
        for fragment in fragments:
            read += 1
            yield fragment

    return [(read, piece.text) for piece in pieces_written(written(), limit)]


def test_a_sentence_is_said_once_a_word_behind_it_is_whole():
    words = "Dit is een hele zin.| En| dit| is er| nog een.".split("|")
    assert heard(*words) == [(3, "[S1] Dit is een hele zin."), (5, "[S1] En dit is er nog een.")]
    assert heard("Ik sprak dr.", " Jansen", " en ", "z. B", ". hem niet.", " Jij? ", "Nee") == [
        (7, "[S1] Ik sprak dr. Jansen en z. B. hem niet."),
        (7, "[S1] Jij? Nee"),
    ]


def test_turns_and_pauses_end_pieces_too_and_speakers_stay():
    assert heard(
        "[S2] Goedemorgen allemaal [S", "1] ja, dat", " is zo", " [pause:1s] Wat", " nu? Ik ", "ga."
    ) == [
        (2, "[S2] Goedemorgen allemaal"),
        (5, "[S1] ja, dat is zo"),
        (6, "[S1] Wat nu? Ik ga."),
    ]
    (first, second) = pieces_written(["[pause:5", "00ms] Dit is een zin. [pa", "use:1s] En dit"], 100)
    assert (first.pause_before, first.pause_after, second.pause_before, second.pause_after) == (0.5, 1, 0, 0)


def test_what_is_short_waits_for_more_and_ends_with_the_text():
    assert heard("Ja.", " Nee. Wie", " weet dat?", " Ik niet.") == [
        (4, "[S1] Ja. Nee. Wie weet dat?"),
        (4, "[S1] Ik niet."),
    ]
    assert heard("Ja.", " ") == [(2, "[S1] Ja.")]


def test_much_at_once_is_divided_and_what_never_ends_is_cut():
    sentences = "Dit is zin nummer een. En dit is zin nummer twee. Dan volgt nu zin drie. Klaar is"
    assert [text for _, text in heard(sentences, limit=60)] == [
        "[S1] Dit is zin nummer een. En dit is zin nummer twee.",
        "[S1] Dan volgt nu zin drie.",
        "[S1] Klaar is",
    ]
    pieces = heard(*["woord "] * 40, limit=60)
    assert pieces[0][0] < 20
    assert all(len(dialogue.encode(text)) <= 60 for _, text in pieces)


@given(DIALOGUES, st.integers(3, 120), st.lists(st.integers(0, 200), max_size=12))
@example("Een. Twee [pause:10ms], drie (clears throat) vier.", 20, list(range(60)))
@example("0[pause:10ms]: 0", 3, [])
def test_all_that_is_written_is_said_whatever_its_fragments(text, limit, cuts):
    try:
        script = read_script(text)
    except UserError:
        reject()
    limit = max(limit, *(len(word.text.encode()) + 2 for word in script.words))
    ends = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    fragments = [text[start:end] for start, end in pairwise(ends)]
    pieces = list(pieces_written(fragments, limit))
    parts = [part for piece in pieces for part in piece.parts]
    assert all(len(dialogue.encode(piece.text)) <= limit for piece in pieces)
    assert "".join("".join(part.text.split()) for part in parts) == "".join(
        "".join(word.text.split()) for word in script.words
    )
    turns = {word.turn: word.speaker for word in script.words}
    assert dict(sorted({part.turn: part.speaker for part in parts}.items())) == turns
    assert [parts[0].start, parts[-1].end] == [script.words[0].start, script.words[-1].end]
    assert pieces[0].pause_before == pytest.approx(script.pause_before)
    silence = sum(word.pause for word in script.words)
    assert sum(piece.pause_after for piece in pieces) == pytest.approx(silence)


@pytest.mark.parametrize(
    ("fragments", "sentence"),
    [
        ([], "text is empty"),
        (["[S1] ", " "], "text is empty"),
        (["Een zin is dit. [S", "7] twee"], "unknown"),
        (["Een zin is dit. En [pause:1", "0h] nog een."], r"pause:10h"),
        (["a" * 150], "put spaces into it"),
    ],
)
def test_what_cannot_be_said_is_refused_when_it_is_read(fragments, sentence):
    with pytest.raises(UserError, match=sentence):
        list(pieces_written(fragments, 100))
