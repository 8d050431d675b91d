from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from rosella.corpus.catalogue import leases, settings
from rosella.corpus.catalogue.connection import Unavailable
from rosella.corpus.catalogue.store import Catalogue, Source
from rosella.corpus.catalogue.tables import JobRow
from rosella.corpus.engines import local
from rosella.corpus.engines.job import MAX_ATTEMPTS, Terms, run_job
from rosella.corpus.stage import StageResult
from rosella.records import Recording, Turn

A, B = (Recording(name * 32, f"/{name}.wav", 10.0, 16000, 1) for name in "ab")
MONTH = 30 * 86400.0


@pytest.fixture
def catalogue(database_url):
    opened = Catalogue.open(database_url)
    for recording in (A, B):
        opened.add(recording, Source(recording.path, 1, 1), [Turn(0.0, 1.0, "anna", "hoi")])
    yield opened
    opened.close()


class Diarize:
    """A stage that does what a test says, and counts."""

    name, version = "diarize", "1"

    def __init__(self, act=lambda recording: None):
        self.act, self.ran = act, []

    def run(self, recording):
        self.ran.append(recording.id)
        self.act(recording)
        return StageResult()


def shift(catalogue, seconds):
    """What a jump of the database's clock by `-seconds` looks like."""
    with catalogue.session() as session:
        session.execute(sa.update(JobRow).values(expires=JobRow.expires + seconds))


def held(catalogue):
    with catalogue.session() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(JobRow))


def claim(catalogue, holder, recording=A):
    return leases.claim(catalogue, recording.id, "diarize", "1", holder)


def test_of_two_workers_one_gets_the_recording(catalogue):
    first = claim(catalogue, "one")
    assert first is not None
    assert claim(catalogue, "two") is None
    assert leases.waiting(catalogue, "diarize", "1", 9) == [B.id]
    assert held(catalogue) == 1
    assert leases.is_due(catalogue, "diarize", "1")
    assert leases.renew(catalogue, first)
    catalogue.finish(first, StageResult())
    assert claim(catalogue, "two") is None, "it is done"
    assert held(catalogue) == 0


def test_of_twenty_that_ask_at_once_one_gets_it(catalogue):
    got = []
    threads = [threading.Thread(target=lambda i=i: got.append(claim(catalogue, f"w{i}"))) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in got) == 1


def test_who_lost_the_lease_cannot_commit(catalogue):
    slow = claim(catalogue, "slow")
    shift(catalogue, -MONTH)  # the clock jumps ahead: the lease runs out while its holder is alive
    quick = claim(catalogue, "quick")
    assert quick is not None
    assert quick.attempts == 2
    assert not leases.renew(catalogue, slow)
    with pytest.raises(leases.LeaseLost):
        catalogue.finish(slow, StageResult(turns=[Turn(0.0, 9.0, "x", "")]))
    assert catalogue.turns(A.id)[0].speaker == "anna"
    catalogue.finish(quick, StageResult())
    with pytest.raises(leases.LeaseLost):
        catalogue.fail(slow, "too late")
    assert catalogue.failed() == []


def test_a_clock_that_jumps_back_does_not_hold_work_for_a_month(catalogue):
    claim(catalogue, "dead")
    shift(catalogue, MONTH)
    assert claim(catalogue, "alive") is not None


def test_new_results_before_it_take_the_job_from_a_worker(catalogue):
    early = claim(catalogue, "early")
    catalogue.add(A, Source(A.path, 1, 2), [Turn(0.0, 2.0, "ben", "dag")])
    with pytest.raises(leases.LeaseLost):
        catalogue.finish(early, StageResult())
    assert claim(catalogue, "late") is not None


def test_what_was_removed_cannot_be_taken(catalogue):
    assert leases.claim(catalogue, "f" * 32, "diarize", "1", "one") is None


def test_the_leases_of_dead_processes_end_at_once(catalogue):
    mine = claim(catalogue, leases.holder_name())
    process, *rest = leases.holder_name().removeprefix(leases._machine()).split(":")
    leases.claim(catalogue, B.id, "diarize", "1", f"{leases._machine()}{2**22 + int(process)}:{rest[0]}")
    leases.free_the_dead(catalogue)
    assert leases.waiting(catalogue, "diarize", "1", 9) == [B.id]
    assert leases.renew(catalogue, mine)


def test_a_database_that_goes_away_costs_no_attempt_and_no_failure(catalogue):
    def gone(recording):
        raise Unavailable("gone")

    for _ in range(MAX_ATTEMPTS + 2):
        with pytest.raises(Unavailable):
            run_job(catalogue, Diarize(gone), A, "one")
    assert run_job(catalogue, Diarize(), A, "one").state == "done"


def test_a_connection_lost_after_the_commit_does_nothing_twice(catalogue, monkeypatch):
    finish = catalogue.finish

    def lost(*arguments, **keywords):
        finish(*arguments, **keywords)
        raise Unavailable("gone")

    monkeypatch.setattr(catalogue, "finish", lost)
    with pytest.raises(Unavailable):
        run_job(catalogue, Diarize(), A, "one")
    monkeypatch.undo()
    again = Diarize()
    assert run_job(catalogue, again, A, "one").state == "taken"
    assert again.ran == []
    assert held(catalogue) == 0


def test_what_ended_its_workers_is_parked_with_a_reason_and_can_be_retried(catalogue):
    for number in range(MAX_ATTEMPTS):
        assert claim(catalogue, f"dies{number}") is not None
        shift(catalogue, -MONTH)
    stage = Diarize()
    ran = local.run(catalogue, [stage], lambda *_: None)
    assert stage.ran == [B.id]
    assert ran.failed == [(A.path, catalogue.failed()[0]["reason"])]
    assert "ended 3 workers" in ran.failed[0][1]
    catalogue.reset(A.id, "diarize")
    assert local.run(catalogue, [stage], lambda *_: None).done == {"diarize": 1}


def test_a_stage_that_hangs_is_stopped_and_the_rest_goes_on(catalogue):
    stage = Diarize(lambda recording: time.sleep(30) if recording.id == A.id else None)
    ran = local.run(catalogue, [stage], lambda *_: None, Terms(lease=0.3, limit=0.3, limit_per_second=0.0))
    assert ran.done == {"diarize": 1}
    assert "took longer than is allowed" in ran.failed[0][1]


def test_heartbeats_keep_long_work(catalogue):
    stage = Diarize(lambda recording: time.sleep(1.0))
    others = []

    def ask():
        time.sleep(0.8)
        others.append(leases.claim(catalogue, A.id, "diarize", "1", "two", 0.6))

    thread = threading.Thread(target=ask)
    thread.start()
    assert run_job(catalogue, stage, A, "one", Terms(lease=0.6)).state == "done"
    thread.join()
    assert others == [None]


def test_settings_are_kept_and_the_first_of_two_proposals_wins(catalogue):
    assert settings.read(catalogue, "run") is None
    settings.write(catalogue, "run", {"codec": "mini"})
    settings.write(catalogue, "run", {"codec": "dac"})
    assert settings.read(catalogue, "run") == {"codec": "dac"}
    assert settings.keep(catalogue, "name", "one") == settings.keep(catalogue, "name", "two") == "one"
