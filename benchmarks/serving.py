"""`rosella serve` under load, judged by what is heard: listeners of locust ask a server with the embedded model.

For each number of listeners: seconds of speech a second, when the first sound was heard, and the share of streams that a
player would never have had to wait for more than 0.1 s. At ten times what the server lets speak and wait, how soon who is
too many is refused. And the server's memory after each. Everything stays on this machine's loopback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _machine import row

SECONDS = 45
STALL = 0.1
QUEUE = 16
FOLDER = Path(__file__).parent


def main() -> None:
    with serving() as (process, address, places):
        for listeners in (1, 4, 16, 10 * (places + QUEUE)):
            result = f"{judged(listen(address, listeners))}; {memory(process.pid)} MiB"
            print(row(f"serving mini, {listeners} listeners, {places} places", result), flush=True)


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """The process of a server, its address, and how many it lets speak at once."""
    command = [sys.executable, "-m", "rosella", "serve", "--port", "0", "--queue", str(QUEUE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        ready = next(line for line in process.stdout if " speaks at " in line)
        address, places = ready.split(" speaks at ")[1].split(", ")
        yield process, address, int(places.split()[0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def listen(address: str, listeners: int) -> list[dict[str, float]]:
    """What so many listeners, all of them from the first second on, noted of their requests."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(FOLDER / "_listeners.py"),
            "--headless",
            "--only-summary",
        ]
        command += ["--users", str(listeners), "--spawn-rate", str(listeners), "--host", address]
        command += ["--run-time", f"{SECONDS}s", "--stop-timeout", "60"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, env={**os.environ, "LISTENERS_LOG": str(log)}, check=False, **quiet)
        return [json.loads(line) for line in log.read_text().splitlines()]


def judged(lines: list[dict[str, float]]) -> str:
    heard = [line for line in lines if line["status"] == 200]
    refused = [line["answered"] for line in lines if line["status"] == 429]
    others = len(lines) - len(heard) - len(refused)
    first = np.array([line["first"] for line in heard]) * 1000
    steady = np.mean([line["dry"] <= STALL for line in heard])
    speed = sum(line["seconds"] for line in heard) / SECONDS
    text = f"{len(heard)} heard, {speed:.1f} s of speech a second, first sound {np.median(first):.0f} ms (p50) and "
    text += f"{np.percentile(first, 99):.0f} ms (p99), {steady:.1%} without a stall"
    if refused:
        text += f"; {len(refused)} refused, after {np.percentile(refused, 99) * 1000:.0f} ms (p99)"
    return text + (f"; {others} FAILED" if others else "")


def memory(process: int) -> int:
    """Resident memory in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


if __name__ == "__main__":
    main()
