"""How long a step of a batch takes, by a clock that goes as fast as the test says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rosella.codec import load_codec
from rosella.pytorch import load_model
from rosella.serve import capacity
from rosella.serve.capacity import places_of, warm
from rosella.speak import Speaker
from rosella.weights import save_model
from serve.small import CONFIG
from tiny_dia import model


class FakeTable:
    """Advances by 16 steps, in a time that grows with those who sit there, of whom one ends each time."""

    chunk, places = 16, 8

    def __init__(self) -> None:
        self.seats, self.clock = [], 0.0

    def join(self, ids, prompt, frames, seed):
        self.seats = [*self.seats, seed]

    def leave(self, seat):
        self.seats = [each for each in self.seats if each is not seat]

    def advance(self):
        self.clock += 0.08 * len(self.seats)
        self.seats = self.seats[1:]


def test_so_many_may_speak_as_are_made_a_quarter_faster_than_heard(monkeypatch):
    """16 steps of two rows take 0.16 s of 0.32 heard; those of four take all of it, without a margin."""
    table = FakeTable()
    monkeypatch.setattr(capacity, "perf_counter", lambda: table.clock)
    monkeypatch.setattr(capacity, "_sound", lambda speaker: 0.01)
    speaker = SimpleNamespace(codec=SimpleNamespace(frame_rate=50.0))
    assert places_of(speaker, table) == 2
    assert capacity._step(table, 2) == pytest.approx(0.01) and not table.seats


def test_all_widths_and_numbers_of_places_are_tried_beforehand(tmp_path, monkeypatch):
    """Up to what a model holds; nobody stays behind."""
    save_model(tmp_path, model(CONFIG), CONFIG)
    speaker = Speaker(load_model(tmp_path)[0], CONFIG, load_codec("mini"))
    table, sizes = speaker.table(2), []
    advanced = table._advanced
    monkeypatch.setattr(
        table, "_advanced", lambda rows, idle: sizes.append(len(idle)) or advanced(rows, idle)
    )
    warm(speaker, table)
    assert sizes == [2, 1] and not table.seats
