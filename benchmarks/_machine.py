"""A row of the results table: date, commit and machine beside what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date


def row(name: str, result: str) -> str:
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return f"| {name} | {result} | {date.today()} | {commit} | {os.cpu_count()} cores, {platform.machine()} |"
