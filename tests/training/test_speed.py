from __future__ import annotations

from types import SimpleNamespace

import jax
import pytest

from rosella.measures import BY_THE_CLOCK
from rosella.training import speed
from rosella.training.goodput import Goodput
from rosella.training.speed import Speed, peak_memory


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(speed.time, "perf_counter", lambda: self.now)
        self.goodput = Goodput(lambda: self.now)

    def wait(self, seconds: float) -> None:
        with self.goodput.spent("data"):
            self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_frames_use_and_waiting_are_shares_of_the_time_since_the_last_reading(clock, monkeypatch):
    monkeypatch.setattr(speed, "device_peak", lambda dtype: {"bfloat16": 1000.0}[dtype])
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    meter = Speed("bfloat16", clock.goodput)
    clock.wait(1.0)
    clock.now += 3
    meter.add(frames=200, flops=4000)
    values = meter.read()
    assert values.keys() == BY_THE_CLOCK
    assert (values["frames_per_second"], values["mfu"], values["data_wait"]) == (50.0, 0.5, 0.25)
    clock.wait(0.5)
    clock.now += 0.5
    assert meter.read()["data_wait"] == 0.5


def test_where_the_peak_is_unknown_there_is_no_utilisation(clock, monkeypatch):
    monkeypatch.setattr(speed, "device_peak", lambda dtype: None)
    meter = Speed("float32", clock.goodput)
    clock.now += 1
    assert meter.read()["mfu"] is None


def test_memory_is_that_of_the_fullest_device_or_of_the_process(monkeypatch):
    assert peak_memory() > 50e6
    devices = [SimpleNamespace(memory_stats=lambda n=n: {"peak_bytes_in_use": n}) for n in (5, 9, 7)]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert peak_memory() == 9
