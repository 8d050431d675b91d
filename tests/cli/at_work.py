"""`rosella` with a codec that says when it is at work, and then sleeps or hangs; for tests that end it by signals."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from corpus.fakes import FakeCodec
from rosella import cli, stopping
from rosella.cli import corpus_work
from rosella.corpus.models import Models


class SlowCodec(FakeCodec):
    def encode(self, waveforms):
        Path(os.environ["AT_WORK"]).touch()
        if os.environ["HOW"] == "hangs":
            stuck()
        if os.environ["HOW"] == "sleeps":
            time.sleep(60)
        return super().encode(waveforms)


def stuck():
    """Native code that never comes back: a lock that is taken twice."""
    threads, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    threads.pthread_mutex_lock(lock)
    threads.pthread_mutex_lock(lock)


class Deaf:
    version = "deaf"

    def embed(self, path, turns):
        return {}


corpus_work.load_models = lambda settings, device: Models(SlowCodec(), diarizer=Deaf())  # type: ignore

if __name__ == "__main__":
    stopping.PATIENCE = float(os.environ.get("PATIENCE", stopping.PATIENCE))
    cli.main(sys.argv[1:])
