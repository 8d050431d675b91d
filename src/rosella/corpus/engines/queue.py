"""The queue engine: workers on any machine take recordings through the stages, woken by dramatiq over Redis.

The database is the truth: what is due, in whose hands, done. Redis only says "look at this one". A message that
is lost is sent again by the sweep, one that comes twice finds nothing to take, and an emptied Redis is refilled.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy import exc

from rosella.corpus.catalogue import leases, settings
from rosella.corpus.catalogue.connection import Unavailable
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import DONE
from rosella.corpus.engines import metrics
from rosella.corpus.engines.job import TAKEN, Terms, anything_due, give_back_all, run_job
from rosella.corpus.engines.local import Ran, ran_between
from rosella.corpus.engines.progress import ShowAdvance, advances
from rosella.corpus.stage import Stage
from rosella.errors import NoSpace, RosellaError, UserError

_log = logging.getLogger(__name__)

URL_VARIABLE = "ROSELLA_REDIS"
SWEEP_SECONDS = 5.0
LOOK_SECONDS = 1.0
GRACE_SECONDS = 10.0
LOW, FILL = 100, 1000
"""Below LOW messages the sweep adds up to FILL a stage: what Redis holds does not grow with the corpus."""

RESTART = 75
"""Exit status of a worker that ends itself because its work hangs; it is started again."""


class JobQueue:
    """The messages of one corpus. `handle(recording, stage, version)` is called for each by a worker's thread."""

    def __init__(self, url: str, corpus: str, handle: Callable[[str, str, str], None]) -> None:
        try:
            self.broker = RedisBroker(
                url=url,
                namespace=f"rosella-{corpus}",
                maintenance_chance=100_000,  # of a million commands; the default leaves a quiet queue stuck
                middleware=[],  # retries, time limits and parking are the database's
            )
        except ValueError as error:
            raise UserError(f"{URL_VARIABLE} cannot be used ({error}): give redis://host:6379/0.") from None
        self._actor = dramatiq.Actor(
            handle, broker=self.broker, actor_name="work", queue_name="work", priority=0, options={}
        )

    def send(self, recording: str, stage: str, version: str) -> None:
        self._actor.send(recording, stage, version)

    def length(self) -> int:
        return self.broker.client.llen(f"{self.broker.namespace}:work")  # type: ignore[return-value]

    def may_sweep(self) -> bool:
        """One worker sweeps at a time; without this it would only be done more often than needed."""
        key = f"{self.broker.namespace}:sweep"
        return bool(self.broker.client.set(key, "1", nx=True, px=int(SWEEP_SECONDS * 900)))

    def close(self) -> None:
        self.broker.close()
        self.broker.client.close()


@dataclass
class Worker:
    """Takes jobs until it is told to stop. `stages` in order; models are loaded in them already."""

    catalogue: Catalogue
    stages: Sequence[Stage]
    url: str
    terms: Terms = field(default_factory=Terms)
    holder: str = field(default_factory=leases.holder_name)

    def __post_init__(self) -> None:
        if not leases.spans_machines(self.catalogue):
            raise UserError("Workers share a catalogue in PostgreSQL: set ROSELLA_CATALOGUE=postgresql://….")
        self._queue = JobQueue(self.url, corpus_name(self.catalogue), self._handle)
        self._by_name = {stage.name: stage for stage in self.stages}

    def serve(self, stop: Callable[[], bool]) -> None:
        """Work until `stop()`, asked often; what is not done GRACE_SECONDS later is given back."""
        taker = dramatiq.Worker(self._queue.broker, worker_threads=1, worker_timeout=200)
        taker.start()
        swept = 0.0
        try:
            while not stop():
                if time.monotonic() - swept > SWEEP_SECONDS:
                    self._sweep()
                    swept = time.monotonic()
                time.sleep(0.1)
        finally:
            try:
                taker.stop(timeout=int(GRACE_SECONDS * 1000))
            finally:  # whoever is told twice does not wait
                give_back_all(self.catalogue, self.holder)
                self._queue.close()

    def is_idle(self) -> bool:
        """Whether nothing is due."""
        return not anything_due(self.catalogue, self.stages)

    def _sweep(self) -> None:
        """Send what the database calls due and Redis does not know of."""
        try:
            leases.free_the_dead(self.catalogue)
            if not self._queue.may_sweep() or self._queue.length() >= LOW:
                return
            for stage in reversed(self.stages):  # what has begun is finished first
                due = leases.waiting(self.catalogue, stage.name, stage.version, FILL, self.terms.lease)
                metrics.due(stage.name, len(due))
                for recording in due:
                    self._queue.send(recording, stage.name, stage.version)
        except (RosellaError, redis.RedisError) as error:
            _log.warning("No sweep: %s", error)

    def _handle(self, recording: str, stage_name: str, version: str) -> None:
        """One message. Whatever happens it is done with: the sweep sends again what is still due."""
        stage = self._by_name.get(stage_name)
        if stage is None or stage.version != version:
            _log.warning("%s %s is not what this worker runs", stage_name, version)
            return
        try:
            self._run(recording, stage)
        except (NoSpace, Unavailable) as error:
            _log.error("%s", error)
            time.sleep(SWEEP_SECONDS)  # it is no use to take the next at once
        except Exception:
            _log.exception("%s of %s", stage_name, recording)

    def _run(self, recording: str, stage: Stage) -> None:
        try:
            row = self.catalogue.get(recording)
        except exc.NoResultFound:
            return  # removed meanwhile
        began = time.monotonic()
        result = run_job(self.catalogue, stage, row, self.holder, self.terms, _end_process)
        seconds = time.monotonic() - began
        if result.state == TAKEN:
            return
        facts = {"recording": recording, "path": row.path, "stage": stage.name, "seconds": round(seconds, 3)}
        _log.info(result.state, extra=facts | ({"reason": result.reason} if result.reason else {}))
        metrics.count(stage.name, result.state, seconds, row.duration)
        if result.state == DONE:
            self._follow(recording, stage)

    def _follow(self, recording: str, stage: Stage) -> None:
        position = list(self.stages).index(stage) + 1
        if position < len(self.stages):
            try:
                self._queue.send(recording, self.stages[position].name, self.stages[position].version)
            except (redis.RedisError, dramatiq.DramatiqError) as error:
                _log.warning("Left to the sweep: %s", error)


def run(
    catalogue: Catalogue, stages: Sequence[Stage], url: str, progress: ShowAdvance, terms: Terms | None = None
) -> Ran:
    """Work beside whatever other workers there are until nothing is due any more."""
    worker = Worker(catalogue, stages, url, terms or Terms())
    names, before, looked = [stage.name for stage in stages], catalogue.status(), 0.0

    def finished() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_SECONDS:
            return False
        looked = time.monotonic()
        try:
            for advance in advances(catalogue.status(), names):
                progress(advance)
            return worker.is_idle()
        except Unavailable as error:
            _log.warning("%s", error)
            return False

    worker.serve(finished)
    return ran_between(before, catalogue.status(), names)


def redis_url() -> str:
    """Where the queue is: from the environment alone, since it may hold a password."""
    if not (url := os.environ.get(URL_VARIABLE)):
        raise UserError(f"The queue needs a Redis: set {URL_VARIABLE}=redis://host:6379/0.")
    return url


def corpus_name(catalogue: Catalogue) -> str:
    """Tells the queues of corpora apart that share a Redis."""
    return settings.keep(catalogue, "name", os.urandom(8).hex())


def _end_process() -> None:
    """Nothing else ends a thread that hangs; the lease runs out and another worker takes the job."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(RESTART)
