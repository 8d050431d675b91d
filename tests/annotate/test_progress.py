from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial

import pytest

from annotate.order import by_queue
from annotate.planted import Annotator, plant
from rosella.annotate import queue
from rosella.annotate.progress import agreement_csv, history_csv, progress
from rosella.corpus.catalogue.corrections import Change, read, rename_speaker, save


@pytest.fixture
def planted(empty, monkeypatch):
    monkeypatch.setattr(queue, "SHARE", 0.0)
    truth = plant(empty, clips=16, recordings=2)
    queue.refresh(empty)
    return truth


def accept(catalogue, clip, after, person="anna", seconds=20.0):
    change = Change(clip, read(catalogue, clip).version, replace(after, verdict="accepted"), "accept")
    save(catalogue, person, [change], clip, seconds, also=partial(queue.settle, author=person))


def by_errors(catalogue, truth) -> list[str]:
    """The clips, the worst first."""
    return sorted(truth.states, key=lambda clip: -truth.errors(read(catalogue, clip)))


def table(lines) -> list[dict[str, str]]:
    return list(csv.DictReader("".join(lines).splitlines(keepends=True)))


def test_before_anybody_has_begun_all_is_left(empty, planted):
    found = progress(empty)
    seconds = sum(state.end - state.start for state in planted.states.values())
    assert (found.hours.done, found.hours.left) == (0, pytest.approx(seconds / 3600))
    assert found.people == [] and found.errors_per_hour is None
    assert set(found.kinds.values()) == {0}
    assert 1.2 * found.hours.left < found.hours_left_of_work < 4 * found.hours.left
    assert found.to_dict()["agreement"] == {"pairs": 0, "word_agreement": None, "speakers": None}


def test_it_counts_what_everybody_did(empty, planted):
    first, second, third, *_ = by_errors(empty, planted)
    wrong = sum(planted.errors(read(empty, clip)) for clip in (first, second))
    before = progress(empty)
    accept(empty, first, planted.states[first])
    accept(empty, second, planted.states[second], "ben", 60.0)
    accept(empty, third, read(empty, third).draft, seconds=None)
    found = progress(empty)
    length = {clip: planted.states[clip].end - planted.states[clip].start for clip in (first, second, third)}
    assert found.hours.done == pytest.approx(sum(length.values()) / 3600)
    assert found.hours.all == pytest.approx(before.hours.all)
    anna, ben = found.people
    assert (anna.name, anna.clips, anna.seconds_per_clip) == ("anna", 2, 20.0)
    assert anna.seconds_per_second == pytest.approx(20.0 / length[first])
    assert (ben.name, ben.seconds_per_second) == ("ben", pytest.approx(60.0 / length[second]))
    assert sum(found.kinds[kind] for kind in ("substituted", "inserted", "deleted", "speaker")) == wrong
    assert found.errors_per_hour == pytest.approx(wrong * 3600 / 80)
    assert wrong > 2 and found.hours_left_of_work > found.hours.left


def test_the_history_is_a_table(empty, planted):
    clip, *_ = by_errors(empty, planted)
    after = replace(planted.states[clip], comment="=SUM(A1)")
    accept(empty, clip, after)
    name = after.turns[0].speaker
    rename_speaker(empty, "@ben", clip.split("-")[0], name, "+31", "rename")
    one, two = table(history_csv(empty))
    assert (one["author"], one["action"], one["clip"], one["seconds"]) == ("anna", "accept", clip, "20.0")
    assert one["comment"] == "'=SUM(A1)"
    assert f"{name}: {after.turns[0].text}" in one["after"] and one["before"] != one["after"]
    assert (two["author"], two["before"], two["after"]) == ("'@ben", name, "'+31")


def test_the_agreement_is_a_table(empty, monkeypatch):
    monkeypatch.setattr(queue, "SHARE", 1.0)
    truth = plant(empty, clips=8, recordings=1)
    people = [Annotator("anna"), Annotator("ben")]
    assert len(list(by_queue(empty, truth, people))) == 16
    rows = table(agreement_csv(empty))
    assert {row["clip"] for row in rows} == set(truth.states)
    assert all({row["first"], row["second"]} == {"anna", "ben"} for row in rows)
    assert {row["word_agreement"] for row in rows} == {"1.0"}
    assert rows[0]["first_text"] == rows[0]["second_text"] != ""
    assert progress(empty).agreement.pairs == 8


def test_tables_come_line_by_line(empty, planted):
    lines = history_csv(empty)
    assert next(lines).startswith("number,at,author")
    for clip in planted.states:
        accept(empty, clip, planted.states[clip])
    assert len(list(history_csv(empty))) == 17
