"""The engine against a batch that does as it is told: who waits is told of every end there can be."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from rosella.errors import RosellaError, UserError
from rosella.serve.engine import Cancelled, Engine, Failed, Session

IDS = np.ones(3, np.int32)


class FakeSeat:
    def __init__(self, frames: int) -> None:
        self.frames, self.step, self.finished = frames, 0, False

    def so_far(self) -> int:
        return self.step


class FakeBatch:
    """Takes a step for each seat when the test says `go`; fails when it is told to."""

    def __init__(self) -> None:
        self.seats: list[FakeSeat] = []
        self.go, self.taken = threading.Semaphore(0), 0
        self.fault: Exception | None = None

    def join(self, ids, prompt, frames, seed):
        if frames > 100:
            raise UserError("There is no room.")
        seat = FakeSeat(frames)
        self.seats.append(seat)
        return seat

    def advance(self):
        if not self.seats:
            return
        if not self.go.acquire(timeout=0.01):
            return
        if self.fault:
            raise self.fault
        self.taken += 1
        for seat in list(self.seats):
            seat.step += 1
            seat.finished = seat.step == seat.frames
            if seat.finished:
                self.leave(seat)

    def leave(self, seat):
        self.seats = [each for each in self.seats if each is not seat]


@pytest.fixture
def batches():
    return []


@pytest.fixture
def engine(batches):
    def make():
        batches.append(FakeBatch())
        return batches[-1]

    engine = Engine(make)
    yield engine
    engine.close()


def session(engine) -> Session:
    return Session(engine, SimpleNamespace(codec=None, config=None, follow=None))


def begin(session, frames: int = 5):
    return session.begin(IDS, None, frames, 0, None)


def later(act) -> tuple[threading.Thread, list]:
    """Run it in a thread; what it raised is kept."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised


def test_steps_are_waited_for_and_taken_for_all_at_once(engine, batches):
    one, other = begin(session(engine)), begin(session(engine))
    batches[0].go.release(3)
    one.advance(3)
    other.advance(2)
    assert (one.so_far(), other.so_far(), batches[0].taken) == (3, 3, 3)
    batches[0].go.release(10)
    one.advance(100)
    assert one.finished


def test_what_the_model_cannot_say_is_told_to_who_asked_and_nobody_else(engine, batches):
    other = begin(session(engine))
    with pytest.raises(UserError, match="no room"):
        begin(session(engine), 101)
    batches[0].go.release(5)
    other.advance(5)
    assert other.finished


def test_a_batch_that_fails_fails_who_sat_there_and_the_next_one_is_new(engine, batches):
    running = begin(session(engine))
    batches[0].fault = RuntimeError("out of memory")
    batches[0].go.release()
    with pytest.raises(Failed, match="try again"):
        running.advance(1)
    with pytest.raises(Failed):  # also who asks only now
        running.advance(1)
    again = begin(session(engine), 1)
    batches[1].go.release(1)
    again.advance(1)
    assert again.finished and engine.alive and engine.failures == 1


def test_leaving_a_session_frees_its_place_before_the_next_steps(engine, batches):
    with session(engine) as left:
        begin(left, 50)
    stays = begin(session(engine), 50)
    batches[0].go.release(2)
    stays.advance(1)
    assert len(batches[0].seats) == 1


def test_who_waits_for_steps_is_told_that_nobody_listens_any_more(engine):
    broken = session(engine)
    running = begin(broken)
    waiting, raised = later(lambda: running.advance(1))
    broken.cancel(Cancelled("Nobody listens any more."))
    waiting.join(10)
    assert isinstance(raised[0], Cancelled) and not waiting.is_alive()
    with pytest.raises(Cancelled):  # nor does it begin anything more
        begin(broken)


def test_who_waits_when_the_server_stops_is_told_so(batches):
    engine = Engine(lambda: batches.append(FakeBatch()) or batches[-1])
    running = begin(session(engine))
    waiting, raised = later(lambda: running.advance(1))
    engine.close()
    waiting.join(10)
    assert not engine.alive and (not raised or isinstance(raised[0], RosellaError))
    with pytest.raises(Cancelled, match="stopping"):
        begin(session(engine))
