"""A small corpus, `rosella annotate` over it as a process, and a network between it and a browser that a test can cut."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from corpus.fakes import FakeCodec, save_tone
from corpus.steps.test_steps import HIGH, LOW
from rosella.annotate import run
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.corrections import Correction
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.recogniser import Clip, Transcribed, Transcript, Transcription
from rosella.corpus.sources.entries import Entry

RECORDINGS, SECONDS = 2, 15.0
STARTS = (1.0, 6.0, 11.0)
"""Seconds at which the clips of a recording begin; two speak in each."""
WORDS = ("een", "twee", "drie")
PATIENCE = 30.0
"""Seconds after which a test waits no longer for a process or a connection."""


class TwoSpeak:
    """A diarizer that hears A and then B, three times."""

    version = "two"

    def diarize(self, path: str | os.PathLike[str]) -> Diarization:
        turns = [
            SpeakerTurn(start + after, start + after + 1.4, name)
            for start in STARTS
            for name, after in (("A", 0.0), ("B", 1.5))
        ]
        return Diarization(turns, [], {"A": LOW, "B": HIGH})

    def embed(self, path: str | os.PathLike[str], turns: Sequence[SpeakerTurn]) -> dict[str, np.ndarray]:
        raise AssertionError("nobody is named")


@dataclass
class Recogniser:
    """Writes down each clip as it always does: by where it begins, and with a `last` word of its own."""

    last: str = "goed"
    version: str = "first"
    asked: list[float] = field(default_factory=list)
    window: float = 4.0

    def read(self, clips: Sequence[Clip]) -> Iterator[Sequence[Clip]]:
        yield clips

    def write_down(self, batches: Iterable[Sequence[Clip]]) -> Transcribed:
        clips = [clip for batch in batches for clip in batch]
        self.asked += [clip.start for clip in clips]
        return Transcribed({clip.id: self._heard(round(clip.start) // 5) for clip in clips}, {})

    def _heard(self, number: int) -> Transcription:
        text = f"[S1] wij gaan naar hui {WORDS[number]} [S2] ja dat is {self.last}"
        sure = -0.06 + 0.02 * number
        return Transcription("nl", 0.1, {"verbatim": Transcript(text, sure, 1.0)})


def models(hears: Recogniser | None = None, codec: FakeCodec | None = None) -> Models:
    writes: Any = hears or Recogniser()
    return Models(codec or FakeCodec(), diarizer=TwoSpeak(), transcriber=writes)


def make(folder: Path, url: str | None) -> None:
    """A corpus in `folder`/corpus, whose clips a recogniser has written down."""
    paths = [save_tone(folder / f"r{number}.wav", SECONDS, seed=number) for number in range(RECORDINGS)]
    with Corpus.open(folder / "corpus", url, create=True) as corpus:
        corpus.add_entries([Entry(path, (), path.name) for path in paths])
        assert corpus.run(models()).failed == []


Fault = Literal["lose request", "lose answer", "hold request", "hold answer"]
"""What becomes of a save. After a loss the network is away; what is held comes to nothing, while all else goes on."""


class Line:
    """A network to a port of this machine, by a port of its own."""

    def __init__(self, port: int) -> None:
        self._to, self._open = port, set[socket.socket]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.up, self.fault = True, None
        self.meanwhile: Callable[[], None] = lambda: None
        self.keys: list[str] = []
        self.statuses: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    up: bool
    fault: Fault | None
    """Of the next save alone."""
    meanwhile: Callable[[], None]
    """Done when a save that is to be lost has come here, before it goes on."""
    keys: list[str]
    """Of each save that came here, in order."""
    statuses: list[int]
    """Of each answer to a save that went back."""

    def cut(self) -> None:
        """Break every connection and take no other."""
        self.up = False  # first: the browser asks again at once, by a connection that is still to be broken
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(browser,), daemon=True).start()

    def _connect(self, browser: socket.socket) -> None:
        with browser, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as server:
            both = {browser, server}
            self._open |= both
            if not self.up:  # asked only now, or a cut between the two would leave this one
                return
            way = _Way(self, browser, server)
            back = threading.Thread(target=way.down, daemon=True)
            back.start()
            way.up()
            back.join()
            self._open -= both


@dataclass
class _Way:
    """A connection."""

    line: Line
    browser: socket.socket
    server: socket.socket
    fault: Fault | None = None
    saving: bool = False

    def up(self) -> None:
        with suppress(OSError):
            while data := self.browser.recv(1 << 16):
                self._look(data)
                if self.fault == "lose request":
                    self.line.cut()
                elif self.line.up and self.fault != "hold request":
                    self.server.sendall(data)
        self._end()

    def down(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.fault == "lose answer":
                    self.line.cut()
                elif self.line.up and self.fault != "hold answer":
                    if self.saving:
                        self.line.statuses.append(int(data.split(b" ", 2)[1]))
                    self.saving = False
                    self.browser.sendall(data)
        self._end()

    def _look(self, data: bytes) -> None:
        if not data.startswith(b"PUT /api/clips/"):
            return
        key = re.search(rb"(?i)idempotency-key: (\w+)", data)
        assert key is not None
        self.line.keys.append(key[1].decode())
        self.saving = True
        self.fault, self.line.fault = self.line.fault, None
        if self.fault:
            self.line.meanwhile()

    def _end(self) -> None:
        for each in (self.browser, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@dataclass
class Real:
    """A corpus of a test's own, its server, and the network to it."""

    directory: Path
    url: str | None
    port: int = 0
    process: subprocess.Popen[str] | None = None
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self, **environment: str) -> None:
        """Returns when it listens."""
        command = [sys.executable, "-m", "rosella", "annotate", "--corpus", str(self.directory)]
        command += ["--port", str(self.port)] + ([] if self.url is None else ["--catalogue", self.url])
        said = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=said, text=True, env=os.environ | environment)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert f":{self.port}" in first, first
        while True:  # it listens before it answers
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE) as asked:
                asked.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in asked.recv(64):
                    return

    def kill(self) -> None:
        """As the system does to a process that takes too much memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def died(self) -> bool:
        """Waits until it has been killed."""
        assert self.process is not None
        return self.process.wait(PATIENCE) == -signal.SIGKILL

    def stop(self) -> None:
        for line in self.lines:
            line.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    def line(self) -> Line:
        self.lines.append(Line(self.port))
        return self.lines[-1]

    def invite(self, role: Literal["annotator", "owner"], line: Line, host: str = "127.0.0.1") -> str:
        """A link, as `rosella annotate invite` prints it."""
        return run.invite(self.directory, self.url, role, f"http://{host}:{line.port}")

    @contextmanager
    def opened(self) -> Generator[Corpus]:
        with Corpus.open(self.directory, self.url) as corpus:
            yield corpus

    def rows(self, clip: str | None = None) -> list[Correction]:
        with self.opened() as corpus:
            return list(corrections.history(corpus.catalogue, clip))

    def saved(self, clip: str | None = None) -> list[list[str]]:
        """What each correction left of the words, by turn."""
        return [[turn["text"] for turn in row.after["turns"]] for row in self.rows(clip)]

    def utterances(self, clip: str) -> list[str]:
        """What is trained on of a clip."""
        with self.opened() as corpus:
            recording = clip[:32]
            return [
                each.text for each in corpus.catalogue.utterances(recording) if (each.clip or each.id) == clip
            ]

    def execute(self, statement: str) -> None:
        """SQL."""
        with self.opened() as corpus, corpus.catalogue.session() as session:
            session.execute(sa.text(statement))
