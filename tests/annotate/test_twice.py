from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from annotate.planted import plant
from rosella.annotate import queue, twice
from rosella.annotate.progress import progress
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Change, Stale, read
from rosella.errors import UserError


@pytest.fixture
def clip(empty, monkeypatch) -> str:
    """One that anna has corrected and accepted, and that waits for another."""
    monkeypatch.setattr(queue, "SHARE", 1.0)
    truth = plant(empty, clips=6, recordings=1, seed=3)
    queue.refresh(empty)
    found = max(truth.states, key=lambda clip: truth.errors(read(empty, clip)))
    after = replace(truth.states[found], verdict="accepted")
    assert after.turns != read(empty, found).draft.turns
    save(empty, "anna", found, after, version=0)
    return found


def save(catalogue, person, clip, after, version, seconds=30.0):
    change, also = Change(clip, version, after, "accept"), partial(queue.settle, author=person)
    if (made := twice.save_second(catalogue, person, change, seconds)) is not None:
        return made
    return corrections.save(catalogue, person, [change], f"{person} {clip} {version}", seconds, also=also)[0]


def taken_by(catalogue, person):
    """Everything the person is given."""
    found, last = [], ""
    while queued := queue.next_clip(catalogue, person, last):
        found.append(queued)
        last = queued.clip
    return {queued.clip: queued.kind for queued in found}


def test_the_second_person_begins_from_the_draft(empty, clip):
    assert clip not in taken_by(empty, "anna")
    assert taken_by(empty, "ben")[clip] == "again"
    seen = twice.seen_by(empty, read(empty, clip), "ben")
    assert (seen.version, seen.state) == (0, seen.draft)
    for person in ("anna", "carla"):
        assert twice.seen_by(empty, read(empty, clip), person) == read(empty, clip)


def test_who_agrees_is_done_and_nothing_is_changed(empty, clip):
    taken_by(empty, "ben")
    first = read(empty, clip)
    assert save(empty, "ben", clip, first.state, version=0) == first
    assert corrections.newest(empty) == 1
    assert clip not in taken_by(empty, "carla")
    found = progress(empty).agreement
    assert (found.pairs, found.word_agreement, found.speakers) == (1, 1.0, 1.0)


def test_who_does_not_agree_is_shown_both_and_overrides_only_what_was_seen(empty, clip):
    taken_by(empty, "ben")
    first = read(empty, clip)
    other = replace(first.draft, verdict="accepted")
    for _ in range(2):  # sent again, it is answered the same
        with pytest.raises(Stale) as stale:
            save(empty, "ben", clip, other, version=0)
    assert stale.value.current == first == read(empty, clip)
    assert twice.seen_by(empty, read(empty, clip), "ben") == first
    found = progress(empty).agreement
    assert found.pairs == 1 and 0 < found.word_agreement < 1
    merged = save(empty, "ben", clip, other, version=1)
    assert (merged.version, read(empty, clip).state) == (2, other)
    assert clip not in {**taken_by(empty, "anna"), **taken_by(empty, "carla")}


def test_work_that_is_not_done_yet_is_kept_and_compared_with_nothing(empty, clip):
    taken_by(empty, "ben")
    half = replace(read(empty, clip).draft, comment="moment")
    seen = save(empty, "ben", clip, half, version=0, seconds=5.0)
    assert (seen.version, seen.state) == (0, half)
    assert twice.seen_by(empty, read(empty, clip), "ben").state == half
    assert progress(empty).agreement.pairs == 0
    assert taken_by(empty, "anna").get(clip) is None
    save(empty, "ben", clip, read(empty, clip).state, version=0, seconds=6.0)
    with empty.session() as session:
        assert queue.known_effort(session, "ben").clips == 1


def test_what_cannot_be_kept_is_refused(empty, clip):
    taken_by(empty, "ben")
    draft = read(empty, clip).draft
    with pytest.raises(UserError, match="speaker has no name"):
        save(empty, "ben", clip, replace(draft, turns=(replace(draft.turns[0], speaker=" "),)), version=0)
    assert twice.seen_by(empty, read(empty, clip), "ben").state == draft


def test_whoever_has_not_taken_the_clip_saves_as_always(empty, clip):
    with pytest.raises(Stale):
        save(empty, "carla", clip, read(empty, clip).draft, version=0)
    assert progress(empty).agreement.pairs == 0


def test_a_share_of_clips_goes_to_two():
    clips = [f"{number:032x}-00000000-00001000" for number in range(4000)]
    share = sum(queue.fraction(f"twice {clip}") < queue.SHARE for clip in clips) / len(clips)
    assert share == pytest.approx(0.1, abs=0.015)
