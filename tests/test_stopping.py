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


def told_in_the_midst(reached):
    with stopping.undisturbed():
        with stopping.undisturbed():
            signal.raise_signal(signal.SIGTERM)
            reached.append("inner")
        reached.append("outer")
    reached.append("after")


def test_what_must_not_be_broken_off_is_ended_first():
    reached = []
    with stopping.interrupting():
        with pytest.raises(KeyboardInterrupt):
            told_in_the_midst(reached)
        with stopping.undisturbed():
            reached.append("again")
    assert reached == ["inner", "outer", "again"]


def test_who_is_told_again_after_a_while_breaks_off_everything(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.0)
    with stopping.interrupting():
        with stopping.undisturbed():
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
