from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa

from annotate.planted import plant
from corpus.fakes import taken
from rosella.annotate import filling, queue
from rosella.corpus.catalogue.annotating import JudgedRow, QueueRow
from rosella.corpus.catalogue.corrections import Change, read, save
from rosella.corpus.catalogue.removal import purge
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.stage import StageResult


@pytest.fixture
def planted(empty):
    truth = plant(empty, clips=24, recordings=3)
    assert queue.refresh(empty) == 24
    return truth


def rows(catalogue) -> dict[str, QueueRow]:
    with catalogue.session() as session:
        found = session.scalars(sa.select(QueueRow)).all()
        session.expunge_all()
    return {row.clip: row for row in found}


def accept(catalogue, clip, after=None, action="accept"):
    found = read(catalogue, clip)
    state = replace(after or found.state, verdict="accepted" if action == "accept" else None)
    also = partial(queue.settle, author="anna")
    return save(
        catalogue, "anna", [Change(clip, found.version, state, action)], f"{clip} {action}", 20.0, also=also
    )


def test_every_draft_waits_once(empty, planted):
    found = rows(empty)
    assert set(found) == set(planted.states)
    assert all(row.utterance == clip and 0 < row.priority < 1 for clip, row in found.items())
    assert queue.refresh(empty) == 0


def test_what_was_accepted_or_is_not_transcribed_does_not_wait(empty, planted, monkeypatch):
    monkeypatch.setattr(queue, "SHARE", 0.0)
    first, second, *_ = planted.states
    accept(empty, first)
    recording = second.split("-")[0]
    blank = [replace(u, text="") if u.id == second else u for u in empty.utterances(recording)]
    empty.finish(taken(empty, recording, "transcribe", "2"), StageResult(blank))
    queue.refresh(empty)
    assert set(rows(empty)) == set(planted.states) - {first, second}


def test_a_better_recogniser_is_measured_anew_and_who_has_a_clip_keeps_it(empty, planted):
    clip = queue.next_clip(empty, "anna").clip
    recording = clip.split("-")[0]
    before = rows(empty)[clip]
    surer = [replace(u, confidence=-0.001) for u in empty.utterances(recording)]
    empty.finish(taken(empty, recording, "transcribe", "2"), StageResult(surer))
    assert rows(empty)[clip].utterance is None
    assert queue.refresh(empty) == 8
    after = rows(empty)[clip]
    assert after.priority < before.priority and after.utterance == clip
    assert (after.holder, after.until) == ("anna", before.until)


def test_clips_that_were_cut_anew_or_removed_go(empty, planted):
    recordings = sorted({clip.split("-")[0] for clip in planted.states})
    one, *others = empty.utterances(recordings[0])
    anew = replace(one, id=one.id[:-1] + "9", end=one.end + 0.009)
    empty.finish(taken(empty, recordings[0], "segment", "2"), StageResult([anew, *others]))
    purge(empty.engine, [recordings[1]])
    queue.refresh(empty)
    left = {clip for clip in planted.states if not clip.startswith(recordings[1])}
    assert set(rows(empty)) == left - {one.id} | {anew.id}


def test_a_clip_that_was_only_changed_waits_on_under_its_name(empty, planted):
    clip, *_ = planted.states
    found = read(empty, clip)
    turns = (*found.state.turns[:-1], replace(found.state.turns[-1], text="heel wat anders"))
    accept(empty, clip, replace(found.state, turns=turns), "edit")
    assert rows(empty)[clip].utterance is not None
    with empty.session() as session:
        session.execute(sa.delete(QueueRow))
    queue.refresh(empty)
    assert set(rows(empty)) == set(planted.states)


def test_what_people_correct_is_learned_and_all_is_weighed_anew(empty, planted):
    with empty.session() as session:
        assert filling.known_doubt(session).clips == 0
    before = rows(empty)
    for clip in list(planted.states)[: filling.FEWEST]:
        accept(empty, clip, planted.states[clip])
    queue.refresh(empty)
    with empty.session() as session:
        doubt = filling.known_doubt(session)
        assert session.scalar(sa.select(sa.func.count()).select_from(JudgedRow)) == filling.FEWEST
    assert doubt.clips == filling.FEWEST
    after = rows(empty)
    assert {row.model for row in after.values()} == {filling.FEWEST}
    assert all(row.priority != before[clip].priority for clip, row in after.items())
    assert queue.refresh(empty) == 0


def test_a_clip_that_is_judged_while_all_are_weighed_disturbs_nothing(tmp_path, monkeypatch):
    catalogue = Catalogue.open(f"sqlite:///{tmp_path}/c.sqlite")  # PostgreSQL locks the rows that are weighed
    truth = plant(catalogue, clips=24, recordings=3)
    queue.refresh(catalogue)
    for clip in list(truth.states)[: filling.FEWEST]:
        accept(catalogue, clip, truth.states[clip])
    judged, weighed = list(truth.states)[-1], filling.weighed

    def judging(*given):
        monkeypatch.setattr(filling, "weighed", weighed)
        accept(catalogue, judged)
        return weighed(*given)

    monkeypatch.setattr(queue, "SHARE", 0.0)
    monkeypatch.setattr(filling, "weighed", judging)
    queue.refresh(catalogue)
    assert judged not in rows(catalogue)
    assert {row.model for row in rows(catalogue).values()} == {filling.FEWEST}
    catalogue.close()


def test_it_ends_when_it_is_told_to(empty):
    plant(empty, clips=24, recordings=3)
    told = iter([False, True])
    assert queue.refresh(empty, lambda: next(told)) == 8
    assert len(rows(empty)) == 8
