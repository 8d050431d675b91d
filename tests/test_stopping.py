from __future__ import annotations

import signal

import pytest

from rosella import stopping


@pytest.mark.parametrize("number", stopping.NUMBERS)
def test_signals_that_follow_at_once_are_the_same_wish(number, monkeypatch):
    with stopping.interrupting():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        for follower in stopping.NUMBERS:
            signal.raise_signal(follower)
        signal.raise_signal(number)
        assert stopping.exit_code() == 128 + number
        monkeypatch.setattr(stopping, "PATIENCE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.interrupting():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
