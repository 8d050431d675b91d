"""Whatever happens to a corpus, what people corrected stays where it is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from itertools import count, pairwise, takewhile
from pathlib import Path

import pytest

from corpus.fakes import FakeCodec, save_tone, small_source
from corpus.steps.test_steps import LOW, Hears, Writes
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change, history, newest, read, save, undo
from rosella.corpus.catalogue.removal import find
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn
from rosella.corpus.models import Models
from rosella.corpus.operate.backup import backup, restore
from rosella.corpus.operate.gc import collect
from rosella.corpus.operate.remove import remove
from rosella.corpus.project import Corpus, catalogue_url
from rosella.corpus.sources.entries import Entry
from rosella.corpus.steps.segment import Cutting
from rosella.shards.read import Export


@pytest.fixture
def corpus(anywhere, tmp_path):
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        yield opened


@pytest.fixture
def source(tmp_path):
    return small_source(tmp_path / "source")


@pytest.fixture
def filled(corpus, source):
    corpus.add(source)
    corpus.run(Models(FakeCodec()))
    corpus.export()
    return corpus


def recording_of(corpus, name):
    (named,) = find(corpus.catalogue, name).named
    return named.id


def utterances(corpus, name="r0.wav"):
    return corpus.catalogue.utterances(recording_of(corpus, name))


def correct(corpus, clip, text=None, key="", action="edit", **changes):
    """Change the words of a clip's first turn, and its state."""
    now = read(corpus.catalogue, clip)
    turns = now.state.turns
    if text is not None:
        turns = (replace(turns[0], text=text), *turns[1:])
    after = replace(now.state, **{"turns": turns, **changes})
    request = [Change(clip, now.version, after, action)]
    (made,) = save(corpus.catalogue, "anna", request, key or f"{clip[:20]} {clip[33:]} {now.version}")
    return made


def exported(corpus):
    return {row["id"]: row for row in Export.open(corpus.directory).index().to_pylist()}


def shards(corpus):
    return {path.name for path in (corpus.directory / "shards").iterdir()}


def test_the_next_export_has_corrected_words_and_writes_only_what_they_touch(filled, monkeypatch):
    monkeypatch.setattr("rosella.corpus.export.write.SHARD_CODES", 1)  # a shard for each recording
    filled.run(Models(FakeCodec("by-recording")))
    filled.export()
    before, clip = shards(filled), utterances(filled)[0]
    correct(filled, clip.id, "eh dag", verdict="accepted")
    result = filled.export()
    assert (result.written, result.shards) == (1, 3)
    assert len(shards(filled) - before) == 1
    assert exported(filled)[clip.id]["text"] == "[S1] eh dag [S2] ja (laughs) [S1] n- nee"
    assert filled.run(Models(FakeCodec("by-recording"))).done["tokenize"] == 0
    assert filled.export(where=["transcript_source=human"]).utterances == 1
    assert filled.export().utterances == 6


def test_what_was_edited_and_what_was_accepted_can_be_chosen(filled):
    first, second = utterances(filled)
    correct(filled, first.id, "eh dag")
    correct(filled, second.id, verdict="accepted")
    for source, id in (("edited", first.id), ("human", second.id)):
        filled.export(where=[f"transcript_source={source}"])
        assert exported(filled).keys() == {id}


def test_a_moved_edge_makes_only_its_own_codes_anew(filled):
    first, second = utterances(filled)
    correct(filled, first.id, end=first.end + 0.5)
    codec = FakeCodec()
    assert filled.run(Models(codec)).done["tokenize"] == 1
    assert len(codec.encoded) == 1 and filled.export().utterances == 6
    moved, _ = utterances(filled)
    assert exported(filled).keys() >= {moved.id, second.id} and first.id not in exported(filled)
    undo(filled.catalogue, "anna", newest(filled.catalogue), "back")
    assert utterances(filled) == [first, second]
    filled.run(Models(codec))
    assert filled.export().utterances == 6 and first.id in exported(filled)


def test_corrected_turns_of_a_source_are_cut_around_what_people_did(filled, source):
    first, _ = utterances(filled)
    correct(filled, first.id, "eh dag", verdict="accepted")
    source.write_text(source.read_text().replace("eh hallo 0", "nieuw").replace("tot ziens", "tot dan"))
    filled.add(source)
    filled.run(Models(FakeCodec(), cutting=Cutting(max_gap=5.0, margin=0.05)))
    mine, its = utterances(filled)
    assert (mine.id, mine.text, mine.transcript_source) == (
        first.id,
        "[S1] eh dag [S2] ja (laughs) [S1] n- nee",
        "human",
    )
    assert its.text == "[S1] tot dan" and (its.start, its.end) == (8.95, 11.55)
    assert read(filled.catalogue, first.id).draft.turns[0].text == "eh hallo 0", "what it was made from"


def test_turns_that_reach_into_a_corrected_clip_are_left_out_and_say_so(filled, source):
    first, _ = utterances(filled)
    correct(filled, first.id, "eh dag")
    lines = source.read_text().replace('"start": 9.0', '"start": 5.5').replace('"end": 6.0', '"end": 5.4')
    source.write_text(lines)
    filled.add(source)
    filled.run(Models(FakeCodec()))
    assert [u.id for u in utterances(filled)] == [first.id]
    assert filled.status().rejects["lies partly in what a person has corrected"] == 1


def test_a_rejected_clip_stays_rejected(filled):
    first, second = utterances(filled)
    correct(filled, first.id, verdict="rejected", reason="jingle", action="reject")
    filled.run(Models(FakeCodec(), cutting=Cutting(margin=0.2)))
    assert [u.text for u in utterances(filled)] == [second.text]
    assert filled.status().rejects["rejected by a person: jingle"] == 1


class HearsOne(Hears):
    """A diarizer that hears one person all the time."""

    def diarize(self, path):
        return Diarization([SpeakerTurn(0.2, 9.6, "A")], [], {"A": LOW})


@pytest.fixture
def heard(corpus, tmp_path):
    """A recording that came as audio alone; three utterances, of A, B and A."""
    corpus.add_entries([Entry(save_tone(tmp_path / "a.wav", 10.0), (), "a.wav")])
    corpus.run(
        Models(FakeCodec(), diarizer=Hears(), transcriber=Writes(["[S1] een", "[S1] twee", "[S1] drie"]))
    )
    return corpus


def test_another_recogniser_writes_only_what_nobody_corrected(heard):
    first, second, third = utterances(heard, "a.wav")
    correct(heard, first.id, "eentje")
    correct(heard, second.id, verdict="accepted")
    better = Writes(["[S1] drie!"], version="better")
    heard.run(Models(FakeCodec(), diarizer=Hears(), transcriber=better))
    assert better.asked == [(third.start, third.end)]
    assert [u.text for u in utterances(heard, "a.wav")] == ["[S1] eentje", "[S1] twee", "[S1] drie!"]


def test_another_diarizer_neither_moves_nor_loses_what_people_did(heard):
    first, second, _ = utterances(heard, "a.wav")
    correct(heard, second.id, verdict="accepted")
    correct(heard, first.id, comment="wie is dit?", action="comment")
    corrections.rename_speaker(heard.catalogue, "anna", first.recording, "B", "Ben", "name")
    heard.run(
        Models(FakeCodec(), diarizer=HearsOne("other"), transcriber=Writes(["[S1] x"] * 9, version="2"))
    )
    after = utterances(heard, "a.wav")
    assert {(u.id, u.clip) for u in after} >= {(first.id, first.id), (second.id, second.id)}
    mine = next(u for u in after if u.id == second.id)
    assert (mine.text, mine.transcript_source, mine.speakers) == ("[S1] twee", "human", ("Ben",))
    assert read(heard.catalogue, first.id).state.comment == "wie is dit?"
    spans = sorted((u.start, u.end) for u in after)
    assert spans[0][0] < 0.3 and spans[-1][1] > 9.5, "the rest is cut as the new one heard it"
    assert all(b[0] > a[1] - 0.2 for a, b in pairwise(spans))


@pytest.mark.parametrize("content", ["other", "broken"])
def test_a_file_with_new_content_does_not_take_the_work_on_the_old_one_with_it(filled, source, content):
    first, _ = utterances(filled)
    correct(filled, first.id, "eh dag")
    if content == "other":
        save_tone(source.parent / "r0.wav", 12.0, seed=30)
    else:
        (source.parent / "r0.wav").write_bytes(b"nothing")
    added = filled.add(source)
    ((path, reason),) = added.failed
    assert (
        Path(path).name == "r0.wav" and "people made 1 corrections: give the new file another name" in reason
    )
    assert filled.catalogue.utterances(first.recording)[0].text.startswith("[S1] eh dag")
    remove(filled, find(filled.catalogue, first.recording).named, source.parent)
    assert filled.add(source).failed == [] or content == "broken"


def test_backups_hold_corrections(filled):
    first, _ = utterances(filled)
    correct(filled, first.id, "eh dag")
    saved = backup(filled.directory, catalogue_url(filled.directory))
    correct(filled, first.id, "weg")
    restore(catalogue_url(filled.directory), saved)
    assert read(filled.catalogue, first.id).state.turns[0].text == "eh dag"


@pytest.mark.services
def test_more_corrections_can_follow_in_another_database(tmp_path, postgres_url):
    with Corpus.open(tmp_path / "corpus", create=True) as corpus:
        corpus.add(small_source(tmp_path / "source"))
        corpus.run(Models(FakeCodec()))
        first, second = utterances(corpus)
        for text in ("eh dag", "dag", "daag"):
            correct(corpus, first.id, text)
    restore(postgres_url, backup(corpus.directory, catalogue_url(corpus.directory)))
    with Corpus.open(corpus.directory, postgres_url) as moved:
        correct(moved, second.id, "nog een")
        assert [row.number for row in history(moved.catalogue)] == [1, 2, 3, 4]


def test_what_was_removed_is_in_no_correction_either(filled, tmp_path):
    first, _ = utterances(filled)
    other, _ = utterances(filled, "r1.wav")
    correct(filled, first.id, "xyzzy", comment="plugh")
    corrections.rename_speaker(filled.catalogue, "anna", first.recording, "ben", "Quux", "n1")
    correct(filled, other.id, comment="stays")
    assert [named.id for named in find(filled.catalogue, "Quux").named] == [first.recording]
    backup(filled.directory, catalogue_url(filled.directory))
    remove(filled, find(filled.catalogue, "Quux").named, tmp_path)
    from corpus.operate.test_remove import holding, rows_with

    filled.catalogue.close()
    assert holding(filled.directory, "xyzzy", "plugh", "Quux") == []
    assert rows_with(filled, "xyzzy", "plugh", "Quux") == [] and len(rows_with(filled, "stays")) == 1


def test_a_name_that_a_diarizer_gave_is_nobodys_name(heard):
    first, *_ = utterances(heard, "a.wav")
    correct(heard, first.id, "eentje")
    with pytest.raises(Exception, match="No recording and no speaker goes by A"):
        find(heard.catalogue, "A")


def test_clearing_up_and_trying_again_touch_no_correction(filled):
    first, _ = utterances(filled)
    correct(filled, first.id, "eh dag", end=first.end + 0.2)
    filled.run(Models(FakeCodec()))
    before = utterances(filled)
    collect(filled, grace=0.0)
    filled.catalogue.reset(first.recording, "segment")
    filled.retry()
    filled.run(Models(FakeCodec()))
    assert utterances(filled) == before and filled.export().utterances == 6


def test_exports_during_edits_hold_one_state_of_a_recording_or_the_other(filled):
    """Every utterance of a recording is given the same word, in one request; an export never shows two."""
    clips, seen = [u.id for u in utterances(filled)], set()

    def edit(number):
        changes = []
        for clip in clips:
            now = read(filled.catalogue, clip)
            turns = replace(now.state.turns[0], text=f"w{number}"), *now.state.turns[1:]
            changes.append(Change(clip, now.version, replace(now.state, turns=turns), "edit"))
        save(filled.catalogue, "anna", changes, f"edit {number}")

    over = threading.Event()

    def edit_on():
        for number in takewhile(lambda _: not over.is_set(), count(1)):
            edit(number)

    edit(0)
    thread = threading.Thread(target=edit_on)
    thread.start()
    for _ in range(8):
        filled.export()
        rows = exported(filled)
        words = {rows[clip]["text"].split()[1] for clip in clips}
        assert len(words) == 1
        seen |= words
    over.set()
    thread.join()
    assert len(seen) > 1


def corrects(folder, clip, environment):
    os.environ.update(environment)
    with Corpus.open(folder) as corpus:
        correct(corpus, clip, "eh dag", key="once", verdict="accepted", end=6.4)


@pytest.mark.parametrize("point", ["in-commit@correct", "after-commit@correct"])
def test_killed_in_the_midst_of_a_save_it_is_all_there_or_not_at_all(filled, point):
    first, second = utterances(filled)
    environment = {name: value for name, value in os.environ.items() if name.startswith("ROSELLA_")}
    process = multiprocessing.get_context("forkserver").Process(
        target=corrects, args=(filled.directory, first.id, {**environment, "ROSELLA_FAILPOINT": point})
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    now = read(filled.catalogue, first.id)
    if point.startswith("in"):
        assert now.version == 0 and utterances(filled) == [first, second]
    else:
        assert now.version == 1 and utterances(filled)[0].text.startswith("[S1] eh dag")
    state = replace(now.state, verdict="accepted", end=6.4)
    state = replace(state, turns=(replace(state.turns[0], text="eh dag"), *state.turns[1:]))
    (again,) = save(filled.catalogue, "anna", [Change(first.id, 0, state, "edit")], "once")
    assert again.version == 1 == len(list(history(filled.catalogue)))
    filled.run(Models(FakeCodec()))
    assert filled.export(where=["transcript_source=human"]).utterances == 1
