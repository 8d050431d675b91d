"""Decoding ahead of the device, within a recording and from one to the next."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from corpus.fakes import FakeCodec, save_manifest, save_tone, turn
from rosella import audio
from rosella.corpus.ahead import Ahead, Expected
from rosella.corpus.catalogue.leases import claim
from rosella.corpus.engines import local
from rosella.corpus.engines.job import Terms
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.errors import UserError
from rosella.records import Recording
from support import python

SOON = 20.0


def recording(name: str) -> Recording:
    return Recording(name, f"{name}.wav", 1.0, 16000, 1)


def test_the_next_item_is_made_while_the_last_is_in_use():
    begun = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(begun):
            event.set()
            yield number

    with Ahead(items()) as ahead:
        for number in ahead:
            assert number == 2 or begun[number + 1].wait(SOON)
            assert number or not begun[2].is_set(), "one item ahead is enough for memory"


def test_an_error_comes_in_the_place_of_its_item():
    def items():
        yield 1
        raise UserError("broken file")

    taken = []
    with pytest.raises(UserError, match="broken file"), Ahead(items()) as ahead:
        taken += list(map(taken.append, ahead))
    assert taken == [1]


def test_what_was_not_taken_is_closed_behind_a_decoder_that_hangs():
    hanging, going_on, closed = threading.Event(), threading.Event(), threading.Event()

    def items():
        try:
            yield 1
            hanging.set()
            going_on.wait(SOON)
            yield 2
        finally:
            closed.set()

    with Ahead(items()) as ahead:
        next(iter(ahead))
        assert hanging.wait(SOON)
    assert not closed.is_set(), "leaving waited for the decoder"
    going_on.set()
    assert closed.wait(SOON)


ENDS_AT_ONCE = """
import sys, threading
from rosella.corpus.ahead import Ahead

def items():
    threading.Event().wait({seconds})
    print("decoded", flush=True)
    yield 1

Ahead(items())
sys.exit(3)
"""


def test_a_process_ends_though_a_decoder_hangs():
    ended = python("-c", ENDS_AT_ONCE.format(seconds=None), timeout=SOON)
    assert (ended.returncode, ended.stdout) == (3, "")


def test_a_process_does_not_end_under_a_decoder_that_works():
    ended = python("-c", ENDS_AT_ONCE.format(seconds=1.0), timeout=SOON)
    assert (ended.returncode, ended.stdout) == (3, "decoded\n")


class Decoding:
    """What was decoded, in the order of its beginning, and what of it was closed early."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.kept: list[Generator[str]] = []
        self.closed = threading.Event()
        self.work = {"a": "a1", "b": "b1", "c": "c1"}

    def decode(self, recording, work):
        self.kept.append(self._items(recording, work))
        return self.kept[-1]

    def _items(self, recording, work):
        self.begun.append((recording.id, work))
        try:
            yield work
            yield work
        except GeneratorExit:
            self.closed.set()
            raise

    def expected(self) -> Expected:
        return Expected(lambda recording: self.work[recording.id], self.decode)


def test_a_recording_is_decoded_from_when_the_one_before_it_is_taken():
    decoding = Decoding()
    expected = decoding.expected()
    expected.expect(recording("b"))
    assert decoding.begun == [], "nobody has work in hand yet"
    with expected.take(recording("a"), "a1") as first:
        assert list(first) == ["a1", "a1"]
    expected.expect(None)
    with expected.take(recording("b"), "b1") as second:
        assert list(second) == ["b1", "b1"]
    assert decoding.begun == [("a", "a1"), ("b", "b1")]


@pytest.mark.parametrize("taken", [("b", "b2"), ("c", "c1")], ids=["other work", "another recording"])
def test_what_was_decoded_in_vain_is_closed_and_the_right_thing_decoded(taken):
    decoding = Decoding()
    expected = decoding.expected()
    expected.expect(recording("b"))
    with expected.take(recording("a"), "a1") as first:
        list(first)
    expected.expect(None)
    with expected.take(recording(taken[0]), taken[1]) as second:
        assert list(second) == [taken[1]] * 2
    assert decoding.closed.wait(SOON)


def test_each_process_begins_at_its_own_place_and_passes_all():
    due = [recording(str(number)) for number in range(5)]
    assert [r.id for r in local._rotated(due, 0.0)] == ["0", "1", "2", "3", "4"]
    assert [r.id for r in local._rotated(due, 1 / 3)] == ["1", "2", "3", "4", "0"]
    assert [r.id for r in local._rotated(due, 2 / 3)] == ["3", "4", "0", "1", "2"]
    assert local._rotated([], 0.5) == []


@pytest.fixture
def corpus(tmp_path):
    """Three recordings."""
    lines = []
    for number in range(3):
        save_tone(tmp_path / f"r{number}.wav", 6.0, seed=number)
        lines.append({"audio": f"r{number}.wav", "language": "nl", "turns": [turn(0.5, 2.5), turn(3.0, 5.0)]})
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        opened.add(save_manifest(tmp_path / "manifest.jsonl", lines))
        yield opened


class WaitsForTheNext(FakeCodec):
    """Encodes the first recording only once the second is being decoded."""

    def __init__(self, decoding_next: threading.Event) -> None:
        super().__init__()
        self._decoding_next = decoding_next

    def encode(self, waveforms):
        assert self._decoding_next.wait(SOON), "the second recording waits for the first"
        return super().encode(waveforms)


def test_the_next_recording_is_decoded_while_this_one_is_encoded(corpus, monkeypatch):
    from rosella.corpus.steps import tokenize

    decode, begun, second_begun = tokenize.decode, [], threading.Event()

    def noting(of, utterances, rate):
        begun.append(of.id)
        if len(begun) == 2:
            second_begun.set()
        yield from decode(of, utterances, rate)

    monkeypatch.setattr(tokenize, "decode", noting)
    assert corpus.run(Models(WaitsForTheNext(second_begun))).failed == []
    assert sorted(begun) == sorted(r.id for r in corpus.catalogue.done("scan", "")), "each was decoded once"


def test_what_another_process_took_is_left_to_it_though_it_was_decoded(corpus):
    *before, stage = corpus.stages(Models(FakeCodec()))
    local.run(corpus.catalogue, before, lambda advance: None)
    first, second, third = [r.id for r in corpus.catalogue.due(stage.name, stage.version)]
    assert claim(corpus.catalogue, second, stage.name, stage.version, "another", 60.0)
    ran = local.run(corpus.catalogue, [stage], lambda advance: None)
    assert ran.failed == [] and ran.done == {"tokenize": 2}
    assert {r.id for r in corpus.catalogue.done(stage.name, stage.version)} == {first, third}


def test_a_decoder_that_hangs_fails_its_recording_and_the_rest_goes_on(corpus, monkeypatch):
    *before, stage = corpus.stages(Models(FakeCodec()))
    local.run(corpus.catalogue, before, lambda advance: None)
    first, second, third = corpus.catalogue.due(stage.name, stage.version)
    decode = audio.Reader.decode

    def hangs(reader, *span):
        if reader._source == second.path:
            threading.Event().wait()
        return decode(reader, *span)

    monkeypatch.setattr(audio.Reader, "decode", hangs)
    terms = Terms(lease=0.3, limit=1.0, limit_per_second=0.0)
    ran = local.run(corpus.catalogue, [stage], lambda advance: None, terms)
    assert ran.done == {"tokenize": 2}
    assert [path for path, _ in ran.failed] == [second.path] and "longer than is allowed" in ran.failed[0][1]
    assert {r.id for r in corpus.catalogue.done(stage.name, stage.version)} == {first.id, third.id}
