"""The queue engine against a real PostgreSQL and a real Redis, its workers processes that die and hang."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter

import pytest

from corpus import pipeline
from rosella.corpus.catalogue.connection import Unavailable
from rosella.corpus.engines import queue
from rosella.corpus.project import Corpus
from rosella.corpus.stage import STAGES
from rosella.errors import UserError

pytestmark = pytest.mark.services

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["corpus.warm"])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return pipeline.source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, manifest):
    """What the local engine makes of it, with SQLite."""
    folder = tmp_path_factory.mktemp("undisturbed")
    pipeline.everything(folder, manifest, {})
    return pipeline.result(folder)


@pytest.fixture
def folder(tmp_path, manifest, postgres_url, redis_url, monkeypatch):
    """A corpus with everything to do; its services are in the environment."""
    monkeypatch.setenv("ROSELLA_CATALOGUE", postgres_url)
    monkeypatch.setenv("ROSELLA_REDIS", redis_url)
    monkeypatch.setattr(queue, "SWEEP_SECONDS", 0.3)
    with Corpus.open(tmp_path / "corpus", create=True) as corpus:
        corpus.add(manifest)
        yield corpus.directory


@pytest.fixture
def start(folder, postgres_url, redis_url):
    """Starts a worker process; what still runs at the end of a test is killed."""
    started = []

    def start(seconds=60.0, **environment):
        environment |= {"ROSELLA_CATALOGUE": postgres_url, "ROSELLA_REDIS": redis_url}
        process = CONTEXT.Process(target=pipeline.take_jobs, args=(folder, environment, seconds))
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def ended(process, seconds=90):
    process.join(seconds)
    return process.exitcode


def failures(folder):
    with Corpus.open(folder) as corpus:
        return corpus.status().failed


def test_the_queue_gives_what_the_local_engine_gives(folder, start, undisturbed):
    assert ended(start()) == 0
    assert pipeline.result(folder) == undisturbed


@pytest.mark.parametrize("stage", STAGES[1:])
def test_killed_in_a_stage_another_worker_finishes(folder, start, undisturbed, stage):
    assert ended(start(ROSELLA_FAILPOINT=f"after-run@{stage}")) == -signal.SIGKILL
    assert ended(start()) == 0
    assert pipeline.result(folder) == undisturbed


def test_two_workers_do_nothing_twice(folder, start, undisturbed, tmp_path):
    log = str(tmp_path / "diarized")
    both = [start(DIARIZED=log), start(DIARIZED=log)]
    assert [ended(process) for process in both] == [0, 0]
    assert pipeline.result(folder) == undisturbed
    assert Counter((tmp_path / "diarized").read_text().split()) == {"r1.wav": 1}


@pytest.mark.parametrize("how", ["kills", "hangs"])
def test_poison_is_parked_and_the_rest_is_done(folder, start, how):
    environment = {"POISON": "r1.wav"} | ({"HANG": "1"} if how == "hangs" else {})
    deaths = []
    for _ in range(5):
        deaths.append(ended(start(seconds=8.0 if how == "hangs" else 60.0, **environment)))
        if deaths[-1] == 0:
            break
    assert deaths == [queue.RESTART if how == "hangs" else -signal.SIGKILL] * 3 + [0]
    (failure,) = failures(folder)
    assert failure["path"].endswith("r1.wav")
    assert "ended 3 workers" in failure["reason"]
    with Corpus.open(folder) as corpus:
        assert corpus.status().stages["tokenize"]["done"] == 2


def test_a_worker_told_to_stop_gives_its_work_back_uncounted(folder, start, tmp_path, undisturbed):
    for number in range(4):  # more often than a recording may end its workers
        log = tmp_path / f"diarized{number}"
        worker = start(POISON="r1.wav", HANG="1", DIARIZED=str(log))
        waited(log.exists)
        worker.terminate()
        ended(worker)
    assert ended(start()) == 0
    assert pipeline.result(folder) == undisturbed


def test_an_emptied_redis_is_filled_again(folder, start, undisturbed, redis_url):
    import redis

    worker, client = start(), redis.Redis.from_url(redis_url)
    while worker.is_alive():
        client.flushall()
        time.sleep(0.05)
    assert worker.exitcode == 0
    assert pipeline.result(folder) == undisturbed


def test_a_database_restarted_in_mid_transaction_loses_nothing(folder, monkeypatch, postgres, undisturbed):
    from rosella.corpus.catalogue import store

    restarted = []

    def restart(name, stage=""):
        if (name, stage) == ("in-commit", "segment") and not restarted:
            restarted.append(stage)
            postgres.stop()
            postgres.ensure_postgres_running()

    monkeypatch.setattr(store, "failpoint", restart)
    pipeline.take_jobs(folder, {})
    assert restarted == ["segment"]
    assert pipeline.result(folder) == undisturbed


def test_without_what_it_needs_the_queue_says_so(tmp_path, redis_url, monkeypatch):
    with Corpus.open(tmp_path / "c", create=True) as corpus:
        with pytest.raises(UserError, match="PostgreSQL"):
            queue.Worker(corpus.catalogue, [], redis_url)


def test_a_database_that_is_away_is_unavailable(postgres_url):
    from rosella.corpus.catalogue.store import Catalogue

    with pytest.raises(Unavailable, match="cannot be used"):
        Catalogue.open(postgres_url.replace("test_", "absent_"))


def waited(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
