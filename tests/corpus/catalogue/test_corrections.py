"""Every test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from corpus.fakes import taken
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change, Stale, history, newest, read, save, undo, undo_batch
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.catalogue.tables import DONE, PENDING, StateRow
from rosella.corpus.corrections.clip import ClipState
from rosella.corpus.stage import STAGES, StageResult
from rosella.errors import UserError
from rosella.records import Recording, Reject, Turn, Utterance, utterance_id

ID = "a" * 32
RECORDING = Recording(ID, "/a.wav", 60.0, 16000, 1, language="nl")
HEARD = [Turn(1.0, 3.0, "A", ""), Turn(3.5, 6.0, "B", ""), Turn(20.0, 25.0, "A", "")]


def said(start, end, text, speakers=("A",), **more):
    values = {"speakers": speakers, "main_speaker": speakers[0], "language": "nl", "confidence": -0.1}
    name = utterance_id(ID, start, end)
    return Utterance(name, ID, start, end, text, **values, transcript_source="model", **more)


FIRST = said(0.9, 6.1, "[S1] eh halo [S2] ja nee", ("A", "B"), text_clean="Hallo. Nee.")
SECOND = said(19.9, 25.1, "[S1] dag dag")


@pytest.fixture
def catalogue(database_url):
    opened = Catalogue.open(database_url)
    opened.add(RECORDING, Source("/a.wav", 1, 1), [])
    opened.finish(taken(opened, ID, "diarize"), StageResult(turns=HEARD))
    opened.finish(taken(opened, ID, "segment"), StageResult([FIRST, SECOND]))
    for stage in STAGES[3:]:
        opened.finish(taken(opened, ID, stage), StageResult())
    yield opened
    opened.close()


def states(catalogue):
    with catalogue.session() as session:
        return {row.stage: row.state for row in session.scalars(sa.select(StateRow))}


def worded(state: ClipState, number: int, text: str) -> ClipState:
    turns = list(state.turns)
    turns[number] = replace(turns[number], text=text)
    return replace(state, turns=tuple(turns))


def accepted(state):
    return replace(state, verdict="accepted")


def change(catalogue, after, clip=FIRST.id, key="1", action="edit", author="anna", **more):
    """Save what `after` makes of a clip's state."""
    now = read(catalogue, clip)
    (saved,) = save(catalogue, author, [Change(clip, now.version, after(now.state), action)], key, **more)
    return saved


@pytest.mark.parametrize("look", [read, corrections.bounds], ids=["read", "bounds"])
def test_a_clip_is_read_as_of_one_moment(catalogue, look):
    """Somebody moves its edges, which replaces its utterance, between the question for its corrections and that for it."""
    before, moved = look(catalogue, FIRST.id), threading.Event()

    def meanwhile(_, __, statement, *___):
        if "FROM utterances" in statement and not moved.is_set():
            moved.set()
            change(catalogue, lambda state: replace(state, end=state.end + 0.5))

    sa.event.listen(catalogue.engine, "before_cursor_execute", meanwhile)
    assert look(catalogue, FIRST.id) == before
    assert read(catalogue, FIRST.id).version == 1


def test_a_clip_that_nobody_touched_is_what_the_machine_said(catalogue):
    clip = read(catalogue, FIRST.id)
    assert clip.version == 0 and clip.state == clip.draft
    assert [(t.start, t.end, t.speaker, t.text, t.text_clean) for t in clip.state.turns] == [
        (1.0, 3.0, "A", "eh halo", "Hallo."),
        (3.5, 6.0, "B", "ja nee", "Nee."),
    ]
    assert (clip.source, clip.confidence) == ("model", -0.1)
    for absent in ("", "\0", ID, ID + "-00000000-00000001"):
        with pytest.raises(UserError, match="There is no clip"):
            read(catalogue, absent)


def test_what_is_accepted_as_it_is_keeps_its_words_its_id_and_its_codes(catalogue):
    clip = change(catalogue, accepted, action="accept", seconds=4.0)
    assert clip == read(catalogue, FIRST.id) and clip.version == 1
    expected = replace(FIRST, transcript_source="human", confidence=None, clip=FIRST.id)
    assert catalogue.utterances(ID) == [expected, SECOND]
    assert set(states(catalogue).values()) == {DONE}
    (row,) = history(catalogue, clip=FIRST.id)
    assert (row.action, row.author, row.seconds, row.version) == ("accept", "anna", 4.0, 1)


def test_a_corrected_word_is_in_the_utterance_and_the_draft_stays(catalogue):
    clip = change(catalogue, lambda state: worded(state, 0, "eh hallo"))
    assert clip.draft.turns[0].text == "eh halo" and (clip.confidence, clip.source) == (-0.1, "model")
    edited, _ = catalogue.utterances(ID)
    assert (edited.id, edited.text) == (FIRST.id, "[S1] eh hallo [S2] ja nee")
    assert (edited.transcript_source, edited.confidence) == ("edited", None)
    assert set(states(catalogue).values()) == {DONE}
    change(catalogue, accepted, key="2", action="accept")
    assert catalogue.utterances(ID)[0].transcript_source == "human"


def test_a_moved_edge_is_another_span_whose_codes_are_due(catalogue):
    change(catalogue, lambda state: replace(state, end=6.4))
    moved, _ = catalogue.utterances(ID)
    assert (moved.id, moved.start, moved.end) == (utterance_id(ID, 0.9, 6.4), 0.9, 6.4)
    assert states(catalogue) == dict.fromkeys(STAGES[:4], DONE) | {"tokenize": PENDING}
    assert read(catalogue, moved.id).id == FIRST.id, "found by what was made of it too"


def test_turns_that_are_not_used_divide_a_clip(catalogue):
    turns = (
        Turn(1.0, 2.0, "A", "eh"),
        Turn(2.0, 2.5, "", "", overlap=True),
        Turn(2.55, 3.0, "A", "halo"),
        Turn(3.5, 4.0, "B", ""),
        Turn(4.1, 6.0, "B", "nee"),
    )
    change(catalogue, lambda state: replace(accepted(state), turns=turns))
    *parts, _ = catalogue.utterances(ID)
    assert [(u.start, u.end, u.text) for u in parts] == [
        (0.9, 2.0, "[S1] eh"),
        (2.5, 3.1, "[S1] halo"),
        (4.0, 6.1, "[S1] nee"),
    ]
    assert {u.clip for u in parts} == {FIRST.id}
    assert catalogue.status().rejects == {"not usable, says a person": 1, "no words, says a person": 1}


def test_what_is_rejected_is_no_utterance_and_comes_back_to_the_letter(catalogue):
    change(catalogue, lambda s: replace(s, verdict="rejected", reason="music 2"), action="reject")
    assert catalogue.utterances(ID) == [SECOND]
    assert catalogue.status().rejects == {"rejected by a person: music …": 1}
    undo(catalogue, "anna", newest(catalogue), "2")
    assert catalogue.utterances(ID) == [FIRST, SECOND] and catalogue.status().rejects == {}


def test_remarks_leave_the_words_to_the_machine(catalogue):
    clip = change(catalogue, lambda s: replace(s, verdict="second", comment="who?\nnobody"), action="second")
    assert catalogue.utterances(ID)[0] == replace(FIRST, clip=FIRST.id)
    better = replace(FIRST, text="[S1] eh hallo [S2] ja nee", text_clean=None)
    catalogue.finish(taken(catalogue, ID, "transcribe", "2"), StageResult([better, SECOND]))
    now = read(catalogue, FIRST.id)
    assert now.version == 1 and now.state.turns[0].text == now.draft.turns[0].text == "eh hallo"
    assert (now.state.verdict, now.state.comment) == (clip.state.verdict, clip.state.comment)


def test_of_two_who_save_one_version_the_second_is_shown_what_the_first_made(catalogue):
    both, outcomes = threading.Barrier(2), {}
    state = read(catalogue, FIRST.id).state

    def saves(name):
        both.wait()
        try:
            outcomes[name] = save(catalogue, name, [Change(FIRST.id, 0, worded(state, 0, name), "edit")], "1")
        except Stale as stale:
            outcomes[name] = stale

    threads = [threading.Thread(target=saves, args=(name,)) for name in ("anna", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((loser, stale),) = [(name, o) for name, o in outcomes.items() if isinstance(o, Stale)]
    (winner,) = outcomes.keys() - {loser}
    assert stale.current == outcomes[winner][0] == read(catalogue, FIRST.id)
    assert stale.current.state.turns[0].text == winner


def test_a_request_that_is_sent_again_changes_nothing_and_gives_the_same(catalogue):
    state = read(catalogue, FIRST.id).state
    request = [
        Change(FIRST.id, 0, worded(state, 0, "hallo"), "edit"),
        Change(SECOND.id, 0, state_of(catalogue), "accept"),
    ]
    first = save(catalogue, "anna", request, "same")
    change(catalogue, lambda s: worded(s, 0, "later"), key="other")
    assert save(catalogue, "anna", request, "same") == first
    assert len(list(history(catalogue))) == 3
    with pytest.raises(Stale):
        save(catalogue, "ben", request, "same")
    with pytest.raises(UserError, match="another one's before"):
        save(catalogue, "anna", [replace(request[0], version=2)], "same")


def state_of(catalogue, clip=SECOND.id):
    return accepted(read(catalogue, clip).state)


def test_the_same_request_sent_twice_at_once_is_done_once(catalogue):
    state, together, gave = read(catalogue, FIRST.id).state, threading.Barrier(4), []

    def send():
        together.wait()
        gave.append(save(catalogue, "anna", [Change(FIRST.id, 0, worded(state, 0, "hallo"), "edit")], "same"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gave == [gave[0]] * 4 and newest(catalogue) == 1


def meanwhile(catalogue, author, request, key):
    """What is done in the midst of a save: another one, in a thread, which ends soon or waits; and what it came to."""
    outcome = []

    def other():
        try:
            outcome.append(save(catalogue, author, request, key))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=other)

    def also(*_):
        thread.start()
        thread.join(0.5)

    return also, lambda: (thread.join(), outcome[0])[1]


def test_two_neighbours_do_not_both_take_the_time_between_them(catalogue):
    late = replace(read(catalogue, SECOND.id).state, start=14.0)
    also, outcome = meanwhile(catalogue, "ben", [Change(SECOND.id, 0, late, "edit")], "1")
    change(catalogue, lambda state: replace(state, end=15.0), also=also)
    assert "between its neighbours there is only 15.00" in str(outcome())
    assert [(u.start, u.end) for u in catalogue.utterances(ID)] == [(0.9, 15.0), (SECOND.start, SECOND.end)]


def test_a_key_that_is_used_twice_at_once_for_two_recordings_is_refused(catalogue):
    other = "b" * 32
    catalogue.add(replace(RECORDING, id=other, path="/b.wav"), Source("/b.wav", 1, 1), [])
    there = replace(FIRST, id=utterance_id(other, 0.9, 6.1), recording=other)
    catalogue.finish(taken(catalogue, other, "segment"), StageResult([there]))
    request = [Change(there.id, 0, read(catalogue, there.id).state, "accept")]
    also, outcome = meanwhile(catalogue, "anna", request, "1")
    change(catalogue, accepted, also=also)
    assert "another one's before" in str(outcome()) and newest(catalogue) < 3
    assert read(catalogue, there.id).version == 0


def test_all_changes_of_a_request_are_made_or_none(catalogue):
    state = read(catalogue, FIRST.id).state
    good, stale = Change(SECOND.id, 0, state_of(catalogue), "accept"), Change(FIRST.id, 7, state, "edit")
    with pytest.raises(Stale):
        save(catalogue, "anna", [good, stale], "1")
    assert list(history(catalogue)) == [] and catalogue.utterances(ID) == [FIRST, SECOND]


def test_what_hangs_on_a_correction_is_done_with_it_or_not_at_all(catalogue):
    def fails(session, clip):
        assert clip.version == 1
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        change(catalogue, accepted, also=fails)
    assert read(catalogue, FIRST.id).version == 0 and catalogue.utterances(ID) == [FIRST, SECOND]


def test_undo_and_redo_have_no_end(catalogue):
    texts = ["eh halo"]
    numbers = []
    for word in ("een", "twee", "drie"):
        change(catalogue, lambda state, word=word: worded(state, 0, word), key=word)
        texts.append(word)
        numbers.append(newest(catalogue))
    undone = []
    for number, text in zip(numbers[::-1], texts[-2::-1], strict=True):
        (clip,) = undo(catalogue, "anna", number, f"undo {number}")
        assert clip.state.turns[0].text == text
        undone.append(newest(catalogue))
    assert catalogue.utterances(ID) == [FIRST, SECOND]
    for number, text in zip(undone[::-1], texts[1:], strict=True):
        (clip,) = undo(catalogue, "anna", number, f"redo {number}")
        assert clip.state.turns[0].text == text
    assert clip.version == 9
    with pytest.raises(Stale):
        undo(catalogue, "anna", numbers[0], "too late")


def test_a_batch_is_undone_where_nobody_went_on(catalogue):
    requests = [
        Change(FIRST.id, 0, worded(read(catalogue, FIRST.id).state, 1, "nee"), "replace"),
        Change(SECOND.id, 0, worded(read(catalogue, SECOND.id).state, 0, "doei"), "replace"),
    ]
    save(catalogue, "anna", requests, "1", batch="b")
    change(catalogue, accepted, clip=SECOND.id, key="2")
    clips, left = undo_batch(catalogue, "anna", "b", "3")
    assert ([clip.id for clip in clips], left) == ([FIRST.id], 1)
    assert undo_batch(catalogue, "anna", "b", "3") == (clips, left)
    assert [u.text for u in catalogue.utterances(ID)] == [FIRST.text, "[S1] doei"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: worded(s, 0, "a\0b"), "Turn 1: The text holds a control character"),
        (lambda s: worded(s, 1, "a\x01b"), "Turn 2: The text holds a control character"),
        (lambda s: worded(s, 0, "[S5] hoi"), "Turn 1: The speaker tag"),
        (lambda s: worded(s, 0, "[S2] hoi"), "Turn 1: The text holds a speaker tag"),
        (lambda s: worded(s, 0, "\ud800"), "Turn 1: The text holds a lone surrogate"),
        (lambda s: replace(s, start=-3.0), "between its neighbours"),
        (lambda s: replace(s, end=float("nan")), "no valid times"),
        (lambda s: replace(s, end=20.5), "between its neighbours there is only 0.00 to 19.90 s"),
        (lambda s: replace(s, turns=(replace(s.turns[0], speaker="x\0"),)), "A speaker's name holds"),
        (lambda s: replace(s, turns=(replace(s.turns[0], speaker=" "),)), "A speaker has no name"),
        (lambda s: replace(s, turns=s.turns[::-1]), "before turn 1"),
        (
            lambda s: replace(s, turns=tuple(replace(t, text="") for t in s.turns), verdict="accepted"),
            "Nobody says",
        ),
        (lambda s: replace(s, comment="\x07"), "cannot be printed"),
        (
            lambda s: replace(s, turns=tuple(Turn(1.0 + n, 2.0 + n, f"P{n}", "ja") for n in range(5))),
            "5 people speak",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(catalogue, spoil, sentence):
    with pytest.raises(UserError, match=sentence):
        change(catalogue, spoil)
    assert newest(catalogue) == 0


def test_whatever_a_person_may_type_comes_back(catalogue):
    typed = "<b onclick='x'>'; DROP TABLE corrections; -- ﬁ é (laughs) 👋 \\u0000 {}"
    clip = change(
        catalogue, lambda state: worded(replace(state, comment=f"{typed}\nen meer"), 0, f" {typed}\n")
    )
    assert clip.state.turns[0].text == typed and clip == read(catalogue, FIRST.id)
    assert catalogue.utterances(ID)[0].text.startswith(f"[S1] {typed} [S2]")


def test_a_clip_grows_no_longer_than_an_utterance(catalogue):
    catalogue.finish(taken(catalogue, ID, "segment", "2"), StageResult([FIRST]))
    with pytest.raises(UserError, match=r"an utterance of 49\.1 s and one holds at most 30 s"):
        change(catalogue, lambda state: replace(state, end=50.0))


def renames(catalogue, before, after, key):
    return corrections.rename_speaker(catalogue, "anna", ID, before, after, key)


def names(catalogue, clip=FIRST.id):
    return [turn.speaker for turn in read(catalogue, clip).state.turns]


def published(catalogue):
    return [(u.text, u.speakers) for u in catalogue.worded(ID, "1")]


def test_a_name_is_given_across_the_recording_and_taken_back(catalogue):
    change(catalogue, accepted)
    number = renames(catalogue, "A", "Anna", "n1")
    assert renames(catalogue, "A", "Anna", "n1") == number
    assert names(catalogue) == ["Anna", "B"] and names(catalogue, SECOND.id) == ["Anna"]
    assert corrections.speakers(catalogue, ID) == ["Anna", "B"]
    assert published(catalogue) == [(FIRST.text, ("Anna", "B")), (SECOND.text, ("Anna",))]
    change(catalogue, accepted, clip=SECOND.id, key="2")
    renames(catalogue, "Anna", "Anneke", "n2")
    with pytest.raises(UserError, match="was renamed again since"):
        undo(catalogue, "anna", number, "n3")
    undo(catalogue, "anna", newest(catalogue), "n4")
    undo(catalogue, "anna", number, "n5")
    assert names(catalogue) == ["A", "B"] and names(catalogue, SECOND.id) == ["A"], (
        "also where it was typed since"
    )
    assert published(catalogue) == [(FIRST.text, ("A", "B")), (SECOND.text, ("A",))]
    undo(catalogue, "anna", newest(catalogue), "n6")
    assert names(catalogue) == ["Anna", "B"] and names(catalogue, SECOND.id) == ["Anna"]


def test_two_speakers_become_one_and_two_again(catalogue):
    change(catalogue, accepted)
    number = renames(catalogue, "B", "A", "n1")
    merged = "[S1] eh halo ja nee"
    assert published(catalogue) == [(merged, ("A",)), (SECOND.text, ("A",))]
    assert catalogue.utterances(ID)[0].id == FIRST.id and set(states(catalogue).values()) == {DONE}
    change(catalogue, accepted, clip=SECOND.id, key="since")
    undo(catalogue, "anna", number, "n2")
    assert published(catalogue) == [(FIRST.text, ("A", "B")), (SECOND.text, ("A",))]
    assert names(catalogue) == ["A", "B"] and names(catalogue, SECOND.id) == ["A"]


def test_who_was_accepted_as_one_stays_one(catalogue):
    number = renames(catalogue, "B", "A", "n1")
    change(catalogue, accepted)
    undo(catalogue, "anna", number, "n2")
    assert names(catalogue) == ["A", "A"]
    assert published(catalogue)[0] == ("[S1] eh halo ja nee", ("A",))


@pytest.mark.parametrize(
    ("before", "after"), [("C", "D"), ("A", "A"), ("A", ""), ("A", "a\0"), ("A", "x" * 101)]
)
def test_names_that_cannot_be_given(catalogue, before, after):
    with pytest.raises(UserError):
        renames(catalogue, before, after, "n1")
    assert newest(catalogue) == 0


def test_a_recogniser_that_was_at_work_meanwhile_writes_only_what_is_still_its_own(catalogue):
    lease = taken(catalogue, ID, "transcribe", "2")
    change(catalogue, lambda state: replace(worded(state, 0, "hallo"), end=6.4))
    by_the_machine = replace(SECOND, text="[S1] dag")
    rejects = [Reject(FIRST.start, FIRST.end, "the recogniser heard no speech")]
    catalogue.finish(lease, StageResult([replace(FIRST, text=""), by_the_machine], rejects))
    mine, its = catalogue.utterances(ID)
    assert mine.text == "[S1] hallo [S2] ja nee" and its == by_the_machine
    assert catalogue.status().rejects == {}


def test_cutting_that_was_at_work_meanwhile_is_void(catalogue):
    from rosella.corpus.catalogue.leases import LeaseLost

    lease = taken(catalogue, ID, "segment", "2")
    change(catalogue, accepted)
    with pytest.raises(LeaseLost):
        catalogue.finish(lease, StageResult([SECOND]))
    assert len(catalogue.utterances(ID)) == 2
