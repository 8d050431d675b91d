"""Opening a clip and cutting it again: what nobody changed stays to the letter."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rosella import dialogue
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState, checked
from rosella.corpus.corrections.cutting import utterances_of
from rosella.corpus.corrections.opening import open_clip
from rosella.corpus.tagging import pieces, renamed, to_utterance, written
from rosella.records import Segment, Turn, Utterance, check_turns, utterance_id

ID = "a" * 32
WORDS = st.lists(
    st.sampled_from("eh ja n- nee, hallo (laughs) Wat? één".split()), min_size=1, max_size=6
).map(" ".join)
NAMES = ("anna", "ben", "cees", "dora")


@st.composite
def spans(draw, most=8):
    """Turns that follow each other between 10 and some 40 s, by up to four speakers."""
    turns, time = [], 10.0
    for _ in range(draw(st.integers(1, most))):
        length = draw(st.floats(0.2, 3.0))
        turns.append(Turn(time, time + length, draw(st.sampled_from(NAMES)), ""))
        time += length + draw(st.floats(0.0, 0.7))
    return turns


@st.composite
def utterances(draw, tagged=st.booleans()):
    """What a manifest or a recogniser says of a span, and the turns there; not always as many."""
    heard = draw(spans())
    start, end = round(heard[0].start - 0.1, 3), round(heard[-1].end + 0.1, 3)
    speakers = tuple(dict.fromkeys(turn.speaker for turn in heard))
    if draw(st.booleans()):  # a manifest's
        turns = [replace(t, text=draw(WORDS), text_clean=draw(st.none() | WORDS)) for t in heard]
        return to_utterance(Segment(ID, start, end, tuple(turns)), "nl"), turns
    tags = draw(st.lists(st.integers(0, len(speakers) - 1), min_size=1, max_size=8))
    text = " ".join(f"{dialogue.TAGS[tag]} {draw(WORDS)}" for tag in tags)
    clean = draw(st.none() | WORDS | st.just(" ".join(f"{dialogue.TAGS[tag]} {draw(WORDS)}" for tag in tags)))
    name = utterance_id(ID, start, end)
    return Utterance(
        name, ID, start, end, text, clean, speakers, speakers[0], "nl", -0.1, 0.1, 1.1, "model"
    ), heard


def clip_of(utterance, heard, **changes):
    draft = open_clip(utterance, heard)
    return AnnotatedClip(utterance.id, ID, 1, replace(draft, **changes), draft, -0.1, "model")


@settings(max_examples=200, deadline=None)
@given(utterances())
def test_what_nobody_changed_stays_to_the_letter(made):
    utterance, turns = made
    clip = clip_of(utterance, turns, verdict="accepted")
    (again,) = utterances_of(clip, utterance, lambda name: name)
    sure = {"confidence": None, "no_speech": None, "compression": None}
    assert again == replace(utterance, **sure, transcript_source="human", clip=utterance.id)


@settings(max_examples=200, deadline=None)
@given(utterances())
def test_a_clip_that_was_opened_can_be_kept_as_it_is(made):
    utterance, turns = made
    draft = open_clip(utterance, turns)
    check_turns(draft.turns)
    assert draft.turns[0].start >= draft.start and draft.turns[-1].end <= draft.end
    assert checked(draft, 0.0, 60.0, NAMES) == draft


@settings(max_examples=200, deadline=None)
@given(utterances(), st.data())
def test_one_changed_word_leaves_all_others_and_the_span(made, data):
    utterance, turns = made
    draft = open_clip(utterance, turns)
    number = data.draw(st.integers(0, len(draft.turns) - 1))
    changed = list(draft.turns)
    changed[number] = replace(changed[number], text=f"{changed[number].text} XYZ")
    clip = clip_of(utterance, turns, turns=tuple(changed))
    (again,) = utterances_of(clip, utterance, lambda name: name)
    assert again.id == utterance.id and again.transcript_source == "edited"
    assert said(again.text, again.speakers, "XYZ") == said(utterance.text, utterance.speakers)


def said(text, speakers, without=""):
    """Who said what, whatever the numbers of their tags."""
    return [(speakers[tag], word) for tag, words in pieces(text) for word in words.split() if word != without]


@given(st.lists(st.tuples(st.integers(0, 3), WORDS), min_size=1, max_size=8))
@example([(1, "ja"), (1, "nee")])
def test_pieces_are_what_was_written(parts):
    text = written(parts)
    assert written(pieces(text)) == text


def test_pieces_of_a_recogniser_share_out_what_was_heard():
    heard = [Turn(10.0, 12.0, "anna", ""), Turn(13.0, 15.0, "ben", "")]
    text = "[S1] aaaaaaaa [S2] bbbb [S1] cccc"
    utterance = Utterance("x", ID, 9.9, 15.1, text, speakers=("anna", "ben"), transcript_source="model")
    assert [(t.start, t.end, t.speaker) for t in open_clip(utterance, heard).turns] == [
        (10.0, 12.0, "anna"),
        (13.0, 14.0, "ben"),
        (14.0, 15.0, "anna"),
    ]


def test_clean_words_without_tags_go_to_who_said_them():
    heard = [Turn(1.0, 3.0, "anna", ""), Turn(3.0, 6.0, "ben", "")]
    utterance = Utterance(
        "x",
        ID,
        0.9,
        6.1,
        "[S1] eh h- hallo daar [S2] nee uh, dag",
        "Hallo daar. Nou nee, dag.",
        ("anna", "ben"),
    )
    cleans = [turn.text_clean for turn in open_clip(utterance, heard).turns]
    assert cleans == ["Hallo daar. Nou", "nee, dag."]


def test_where_nothing_was_written_down_the_turns_are_empty():
    heard = [Turn(1.0, 3.0, "A", ""), Turn(3.0, 3.2, "", "", overlap=True), Turn(3.2, 6.0, "B", "")]
    utterance = Utterance("x", ID, 3.1, 6.1, "", speakers=("B",), transcript_source="model")
    assert open_clip(utterance, heard).turns == (Turn(3.2, 6.0, "B", ""),)
    assert open_clip(utterance, []).turns == (Turn(3.1, 6.1, "B", ""),)


def test_a_merged_speaker_has_one_tag():
    utterance = Utterance("x", ID, 0, 1, "[S1] a [S2] b [S3] c [S1] d", "A B", ("p", "q", "r"), "q")
    merged = renamed(utterance, lambda name: "p" if name == "q" else name)
    assert (merged.text, merged.speakers, merged.main_speaker) == ("[S1] a b [S2] c [S1] d", ("p", "r"), "p")
    assert merged.text_clean == "A B"


def test_states_come_back_from_json():
    state = ClipState(1.0, 2.0, (Turn(1.0, 2.0, "a", "b", None, True),), "rejected", "x", "y")
    assert ClipState.from_dict(state.to_dict()) == state
