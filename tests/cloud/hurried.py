"""`rosella tpu`, as a process of its own, for a cloud whose clock runs sixty times as fast as ours."""

from __future__ import annotations

import sys

from rosella import cli
from rosella.cloud import decide, supervisor

if __name__ == "__main__":
    supervisor.ROUND, supervisor.BEAT, supervisor.LEASE = 0.25, 0.1, 0.5
    decide.CONFIRMED, decide.ASK_AGAIN = 0.5, 1.0
    cli.main(["tpu", *sys.argv[1:]])
