from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from rosella import dialogue
from rosella.errors import UserError
from rosella.speak.script import SHORT, read_script, split


def texts(script: str, limit: int) -> list[str]:
    return [piece.text for piece in split(read_script(script), limit)]


def pauses(script: str) -> list[tuple[str, float]]:
    return [(piece.text, piece.pause_after) for piece in split(read_script(script), 100)]


def test_turns_and_spans_are_those_of_the_text():
    text = "Nou.\n[S2]  Ja  (clears\nthroat), e\u0301e\u0301n.\r\n[S2][S3]Hoi [S3] Weg"
    (piece,) = split(read_script(text), 100)
    assert piece.text == "[S1] Nou. [S2] Ja (clears throat), één. [S3] Hoi Weg"
    assert piece.speakers == ("S1", "S2", "S3") and piece.pause_after == 0
    assert [(part.turn, part.speaker, part.text) for part in piece.parts] == [
        (0, "S1", "Nou."),
        (1, "S2", "Ja (clears throat), één."),
        (2, "S3", "Hoi"),
        (3, "S3", "Weg"),
    ]
    assert [text[part.start : part.end] for part in piece.parts] == [
        "Nou.",
        "Ja  (clears\nthroat), e\u0301e\u0301n.",
        "Hoi",
        "Weg",
    ]


def test_pauses_are_exact_wherever_they_stand():
    script = "[pause:250ms] [S1] Een [pause:500ms], twee. [pause:1.5s]\n[pause:10s][S2] Drie.[pause:20ms]Vier. [pause:2s]"
    assert read_script(script).pause_before == 0.25
    assert pauses(script) == [
        ("[S1] Een ,", 0.5),
        ("[S1] twee.", 11.5),
        ("[S2] Drie.", 0.02),
        ("[S2] Vier.", 2),
    ]
    assert pauses("[S1] Een [pause:1s] « twee »") == [("[S1] Een", 1), ("[S1] « twee »", 0)]


@pytest.mark.parametrize(
    "tag",
    [
        *"[pause] [pause:] [pause:1] [pause:0s] [pause:0.0ms] [pause:10.1s] [pause:-1s] [PAUSE:1s]".split(),
        *"[pause:1,5s] [pause:.5s] [pause:1min] [pause:١s] [pause:999999999999999999999s]".split(),
        *("[ pause:1s]", "[pause: 1 s]", "[pause:1s"),
    ],
)
def test_other_pauses_are_refused_with_the_right_form(tag):
    with pytest.raises(UserError, match=re.escape(tag[:24])) as error:
        read_script(f"Een {tag} twee.")
    assert "[pause:500ms] or [pause:1.5s]" in str(error.value)


def test_what_is_no_pause_is_text():
    assert texts("Een [pauses] (pause:1s) twee", 100) == ["[S1] Een [pauses] (pause:1s) twee"]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("[pause:1s]", "text is empty"),
        ("[S1] \u00a0", "text is empty"),
        ("[S5] Ja", "unknown"),
        ("a\x00b", "control character"),
        ("", "text is empty"),
    ],
)
def test_what_no_model_may_see_is_refused(script, sentence):
    with pytest.raises(UserError, match=sentence):
        read_script(script)


@pytest.mark.parametrize(
    "script",
    ["[S1] een twee drie [S2] vier é", "[S1] een twee [S1] drie", "一二。三四五。", "een\n\ntwee. drie"],
)
def test_a_piece_may_be_full_to_the_last_byte(script):
    (whole,) = texts(script, 100)
    full = len(dialogue.encode(whole))
    assert texts(script, full) == [whole] and len(texts(script, full - 1)) == 2


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        ("[S1] Een korte beurt. | [S2] Dit is nog een zin. En dit is weer een zin.", 45),
        ("[S1] Dit is een zin. | En dit is er nog een, maar dan met een lang einde.", 54),
        ("[S1] dit is een zin. | en dit is er nog een, maar dan met een lang einde.", 54),
        ("[S1] Dit is de afd. en dit is er een, | maar dan met een lang einde.", 54),
        ("[S1] Als dit een bijzin is, | dan volgt nu de hoofdzin zonder einde", 50),
        ("[S1] Dit is een zin van tien | woorden zonder enige komma", 30),
        ("[S1] Ga naar de heer | dr. J. S. van Jansen toe", 30),
        ("[S1] Een kop zonder punt\n \n| Dan komt de tekst, die dan nog verder gaat en gaat", 56),
        ("[S1] Een lange regel van wel heel veel | woorden staat hier\nmet nog een eind", 60),
    ],
)
def test_pieces_end_at_turns_before_sentences_before_clauses_before_words(script, limit):
    first, second = (" ".join(part.split()) for part in script.split("|"))
    assert texts(script.replace("|", ""), limit) == [first, second if "[" in second else f"[S1] {second}"]


def test_what_is_short_goes_with_its_neighbours():
    long = "Dit is een zin die bijna vijftig bytes lang is,"
    assert all(
        len(dialogue.encode(text)) >= SHORT for text in texts(f"{long} ja. Ja. {long} toch. [S2] Nee.", 60)
    )
    assert texts("[S1] Ja. [S2] Nee. [S1] Ja. Ja. [S2] Hm.", 60) == [
        "[S1] Ja. [S2] Nee. [S1] Ja. Ja. [S2] Hm."
    ]


def test_pieces_are_of_like_length():
    script = " ".join(f"Dit is de zin met nummer {number}, en meer niet." for number in range(10, 17))
    sizes = [len(dialogue.encode(text)) for text in texts(script, 270)]
    assert len(sizes) == 2 and min(sizes) > 0.7 * max(sizes)


def test_chinese_is_divided_without_spaces_and_joined_without_them():
    script = "你好，我是安娜。今天天气很好！我们走吧。"
    assert texts(script, 100) == [f"[S1] {script}"]
    assert texts(script, 36) == ["[S1] 你好，我是安娜。", "[S1] 今天天气很好！", "[S1] 我们走吧。"]


def test_events_stay_whole_and_spaces_that_allow_no_line_break_allow_no_cut():
    for limit in range(22, 60):
        for text in texts("Zo (clears his throat) dan 10\u00a0000\u202fkm (laughs) ver", limit):
            assert text.count("(") == text.count(")") and (
                "10 000 km" in text or not re.search("10|km", text)
            )
    assert len(texts("(dit is een terzijde van meer dan vier woorden)", 30)) == 2
    assert len(texts("geplakt\u00a0van\u00a0een\u00a0pagina", 20)) == 2


def test_a_word_longer_than_a_piece_is_refused():
    assert texts("a" * 38, 40) == ["[S1] " + "a" * 38]
    with pytest.raises(UserError, match=r"begins with a{24} has 41 bytes .* say 40 at once: put spaces"):
        texts("b " + "a" * 39, 40)


SAYABLE = st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]), max_size=12)
DIALOGUES = st.lists(
    st.one_of(
        st.sampled_from([
            "[S1]", "[S2]", "[S4] ", "[pause:10ms]", " [pause:1.5s] ", "\n", "\r\n\r\n", " ", "\u00a0", "[", "]", "(", ")",
            "(laughs)", "(clears throat)", "Dr. ", "z. B. ", "1. ", "3.5", "ja. ", "Nee, ", "e\u0301", "– ", "« ", " »", "…",
            "。", "，",
        ]),
        SAYABLE,
        st.text("abc .,!?\n", max_size=40),
    ),
    max_size=30,
).map("".join)  # fmt: skip
BETWEEN = re.compile(r"\s|\[S[1-4]\]|\[pause:[0-9.]+m?s\]")


@given(DIALOGUES, st.integers(3, 120))
@example("a\u00a0 。\u00a0", 5)
@example("ja[S1]nee", 8)
def test_pieces_say_all_words_in_order_and_fit(text, limit):
    try:
        script = read_script(text)
    except UserError:
        reject()
    limit = max(limit, *(len(word.text.encode()) + 2 for word in script.words))
    pieces = split(script, limit)
    for piece in pieces:
        assert piece.text.startswith(f"[{piece.speakers[0]}] ") and len(dialogue.encode(piece.text)) <= limit
    said = [word for piece in pieces for part in piece.parts for word in part.text.split(" ")]
    written = words(text)
    assert "".join(said) == "".join(written)
    if not re.search("[。！？｡，、；：]", text):
        assert said == written
    assert " ".join(said).count("(clears throat)") == " ".join(written).count("(clears throat)")
    for before, after in pairwise(part for piece in pieces for part in piece.parts):
        between = text[before.end : after.start]
        assert BETWEEN.search(between) or (not between and re.search("[。！？｡，、；：]", before.text[-5:]))
    silence = 0.01 * text.count("[pause:10ms]") + 1.5 * text.count("[pause:1.5s]")
    assert script.pause_before + sum(piece.pause_after for piece in pieces) == pytest.approx(silence)


def words(text: str) -> list[str]:
    """What stands between spaces, tags and pauses."""
    spoken = dialogue.normalise(re.sub(r"\[S[1-4]\]|\[pause:[^\]]*\]", " ", text))
    return spoken.split()
