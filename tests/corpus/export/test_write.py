from __future__ import annotations

import pytest

from rosella.corpus.export.write import MIN_SHOWS, VALIDATION_SHARE, assign_splits
from rosella.records import Recording


def recordings(number, shows=0):
    return [
        Recording(f"{i:032x}", f"/{i}.wav", 1.0, 16000, 1, show=f"show {i % shows}" if shows else None)
        for i in range(number)
    ]


def held_out(splits):
    return {id for id, split in splits.items() if split == "validation"}


def test_one_recording_is_all_training():
    assert set(assign_splits(recordings(1)).values()) == {"train"}


@pytest.mark.parametrize("number", [2, 3, 8])
def test_a_few_recordings_hold_out_one(number):
    assert len(held_out(assign_splits(recordings(number)))) == 1


def test_few_shows_hold_out_recordings_many_hold_out_whole_shows():
    few = recordings(400, shows=MIN_SHOWS - 1)
    assert len({r.show for r in few if r.id in held_out(assign_splits(few))}) > 1
    many = recordings(4000, shows=400)
    splits = assign_splits(many)
    by_show = {show: {splits[r.id] for r in many if r.show == show} for show in {r.show for r in many}}
    assert all(len(kinds) == 1 for kinds in by_show.values())
    assert len(held_out(splits)) / 4000 == pytest.approx(VALIDATION_SHARE, abs=0.03)


def test_a_recording_keeps_its_split_when_others_come():
    before, after = assign_splits(recordings(500)), assign_splits(recordings(1000))
    assert all(after[id] == split for id, split in before.items())
    assert assign_splits(recordings(500)[::-1]) == before
