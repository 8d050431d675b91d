from __future__ import annotations

import pytest

from rosella.speak.breaks import Break, breaks


def ends(text: str, capitals: bool = True) -> list[str]:
    """The text, divided at the ends of sentences."""
    parts = [""]
    words = text.split(" ")
    for word, found in zip(words, breaks(words, capitals), strict=True):
        parts[-1] += f" {word}"
        if found is Break.SENTENCE:
            parts.append("")
    return [part.strip() for part in parts]


@pytest.mark.parametrize(
    "text",
    [
        "Dat is zo. | En dit ook! | Toch? | Ja… | Goed... | Klaar.",
        "Она пришла. | Он ушёл.",
        "هل أنت بخير؟ | نعم۔ | حسنا",
        "यह अच्छा है। | हाँ",
        "他来了。 | 好！ | 네. | 그래요.",
        'Hij zei: "Kom." | Daarna (nogal laat.) | „Gut.“ | «Bien.» | Weg.',
        "« Ça va ? » | Oui !",
        "Kom . | Ja",
        "Wat? | nee! | ja",
        "¿Qué tal? | ¡Bien!",
        "Dank u. | Tot ziens.",
        "Ja. | (laughs) Nee.",
        "Dat was in 1990. | Daarna niet. | Hij werd 85 kg. | En toen.",
        "Van alles, enz. | Dan verder, etc. | Klaar.",
    ],
)
def test_sentences_end_in_any_language(text):
    assert ends(text.replace(" |", "")) == text.split(" | ")


@pytest.mark.parametrize(
    "text",
    [
        "Vraag het aan Dr. Jansen of (dr. Smit).",
        "Sie lebt z. B. in Berlin, d. h. Norden",
        "Neem bijv. Amsterdam, e.g. London, z.B. Wien.",
        "Muziek van J. S. Bach en J.R.R. Tolkien",
        "Am 1. Januar und 24. Dezember, der 2. Weltkrieg",
        "1. Inleiding en 3.5 graden",
        "Den 3. oktober, i 1999. sezoni",
        "Mr. and Mrs. Smith vs. Jones",
        "См. Москву",
        '"Waarom?" vroeg zij.',
        "Eh… ja, wel... of niet",
    ],
)
def test_no_sentence_ends_at_abbreviations_initials_and_ordinals(text):
    assert ends(text) == [text]


def test_only_where_capitals_are_used_does_a_small_letter_go_on():
    assert ends("ja hoor. dat is zo. eh… goed", capitals=False) == ["ja hoor.", "dat is zo.", "eh… goed"]
    assert ends("De afd. komt. en gaat") == ["De afd. komt. en gaat"]


def test_clauses_are_better_than_words_and_marks_stay_with_theirs():
    words = "Ja, nee ; dan – dus « zo » is : 't".split(" ")
    assert [found.name for found in breaks(words, True)] == [
        "CLAUSE", "BOUND", "CLAUSE", "BOUND", "CLAUSE", "WORD", "BOUND", "BOUND", "WORD", "BOUND", "CLAUSE", "TURN",
    ]  # fmt: skip
    assert breaks(["zo", "-", "dan", "1999.", "sezoni"], True)[1:4] == [Break.CLAUSE, Break.WORD, Break.BOUND]
    assert breaks(["–", "Ja", "d-", "daar"], True)[:3] == [Break.BOUND, Break.WORD, Break.WORD]
