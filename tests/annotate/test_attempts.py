"""Wrong passwords of late."""

from __future__ import annotations

import threading
import time

import pytest

from rosella.annotate.attempts import Attempts
from rosella.annotate.settings import Limits
from rosella.web.faults import Refusal

FEW = Limits(tries_of_name=3, tries_of_address=5, window=100)


@pytest.fixture
def clock(monkeypatch):
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def wait(attempts: Attempts, name: str, address: str) -> int:
    """Seconds to wait; 0 where a try is let through."""
    try:
        attempts.begin(name, address)
    except Refusal as refusal:
        return int(refusal.headers["Retry-After"])
    return 0


def test_so_many_for_a_name_wherever_they_come_from(catalogue, clock):
    attempts = Attempts(catalogue, FEW)
    for number in range(3):
        clock[0] += 10
        assert wait(attempts, "anna", f"10.0.0.{number}") == 0
    assert wait(attempts, "anna", "10.0.0.9") == 80
    assert wait(Attempts(catalogue, FEW), "anna", "10.0.0.9") == 80  # a server that was started anew
    assert wait(attempts, "ben", "10.0.0.9") == 0
    clock[0] += 81
    assert wait(attempts, "anna", "10.0.0.9") == 0
    assert wait(attempts, "anna", "10.0.0.9") == 10 - 1


def test_so_many_from_an_address_whatever_the_name(catalogue, clock):
    attempts = Attempts(catalogue, FEW)
    assert [wait(attempts, f"name {number}", "10.0.0.1") for number in range(6)] == [0] * 5 + [100]
    assert wait(attempts, "name 7", "10.0.0.2") == 0


def test_a_right_password_forgives_its_name_and_not_the_address(catalogue, clock):
    attempts = Attempts(catalogue, FEW)
    for _ in range(2):
        attempts.begin("anna", "10.0.0.1")
        attempts.begin("anna", "10.0.0.1")
        attempts.forgive(attempts.begin("anna", "10.0.0.1"), "anna")
    assert wait(attempts, "anna", "10.0.0.1") == 0
    assert wait(attempts, "anna", "10.0.0.1") == 100
    assert wait(attempts, "anna", "10.0.0.2") == 0


def test_of_many_at_once_no_more_are_let_through(catalogue):
    attempts, together, waits = Attempts(catalogue, FEW), threading.Barrier(8), []

    def attempt(number: int) -> None:
        together.wait()
        waits.append(wait(attempts, "anna", f"10.0.0.{number}"))

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 8 and waits.count(0) <= 3
